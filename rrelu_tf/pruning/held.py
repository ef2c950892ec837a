"""Channels that stay when they are coupled, whatever masks say, and why."""

import numpy as np

from rrelu_tf.analysis.levels import alive, levels
from rrelu_tf.analysis.tied import Tied
from rrelu_tf.pruning.masking import mask


def held(model, groups, gone):
    """Which groups `strip(align="couple")` keeps though they are masked.

    They are tied to what is not masked: an input, an output, a layer without
    a score or one that makes another number than 0 of zeros. Masking less
    frees none of them.

    Args:
        model: the source `keras.Model`.
        groups: its `Groups`.
        gone: bool array (groups,): those masked.

    Returns:
        bool array (groups,).
    """
    keep = groups.keep(gone)
    there = alive(levels(mask(model, keep), "couple"))
    found = np.zeros(len(gone), bool)
    for key, group in zip(groups.keys, groups.of_key, strict=True):
        found[group[there[key] & ~keep[key]]] = True
    return found


def holders(model, groups, gone):
    """What keeps the groups that `held` found, as text.

    Args:
        model: the source `keras.Model`.
        groups: its `Groups`.
        gone: bool array (groups,): those that are held.
    """
    keep = groups.keep(gone)
    ties = Tied(mask(model, keep), "couple")
    numbers = set()
    for key, stays in keep.items():
        numbers |= set(ties.groups[key][~stays].tolist())
    return ties.holders(numbers)
