"""The L1 score: the sum of a filter's sizes."""

import numpy as np

from rrelu_tf.scoring.filters import filters


def l1(passes):
    """sum(|w|) over a filter, its bias not counted.

    Source: Li et al. (2017), "Pruning Filters for Efficient ConvNets", section
    3.1. They compare filters of one layer only; among layers, those of small
    fan-in score low (`normalize="layer"`, or `select(scope="layer")`).

    Args:
        passes: the `Passes` over a model; no data are needed.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,).
    """
    return {
        key: np.abs(filters(layer)).sum(axis=1)
        for key, layer in passes.kernels.items()
    }
