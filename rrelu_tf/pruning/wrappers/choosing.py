"""Which channels go at a turn of the schedule."""

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.groups import Groups

_FLOORS = {"layer": 0.0, "global": 0.05}


def choose(scores, sparsity, *, labels, scope, min_fraction):
    """The channels that stay, and the scores from which they do.

    Args:
        scores: dict: key -> float array (channels,).
        sparsity: numpy.float32 in [0, 1).
        labels: dict: key -> int array (channels,), which go together, as of
            `chains.chained`.
        scope: "layer" or "global".
        min_fraction: in [0, 1), or None.

    Returns:
        (dict: key -> bool array, True = keep; dict: key -> float, the lowest
        score that is kept).

    Raises:
        UserError: a sparsity that `min_fraction` does not leave room for.
    """
    floor = _FLOORS[scope] if min_fraction is None else min_fraction
    groups = Groups(scores, labels)
    block = groups.blocks(scope)
    candidates = np.array(groups.removable(floor), int)
    gone = np.zeros(len(groups.scores), bool)
    for number in np.unique(block):
        total = int((block == number).sum())
        count = total - staying(total, sparsity)
        there = candidates[block[candidates] == number]
        if len(there) < count:
            raise UserError(
                f"With min_fraction={floor}, and one channel at the least, "
                f"kept of each layer, {len(there)} of {total} channels can "
                f"go. Received: sparsity={sparsity:g}"
            )
        gone[there[:count]] = True
    keep = groups.keep(gone)
    lowest = {
        key: float(groups.scores[of[~gone[of]]].min())
        for key, of in zip(groups.keys, groups.of_key, strict=True)
    }
    return keep, lowest


def staying(total, sparsity):
    """int: how many of so many channels stay.

    Source: TFMOT's `Pruning._update_mask`, in its precision.
    """
    left = np.float32(total) * (np.float32(1) - np.float32(sparsity))
    return max(int(np.round(left)), 1)
