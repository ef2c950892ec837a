"""The score of geometric-median pruning: how unlike the others a filter is."""

import numpy as np

from rrelu_tf.scoring.filters import filters


def fpgm(passes):
    """The sum of a filter's Euclidean distances to its layer's other filters.

    The filter nearest the layer's geometric median is the one that the others
    can best stand in for.

    Source: He et al. (2019), "Filter Pruning via Geometric Median for Deep
    Convolutional Neural Networks Acceleration", equation 8. They compare
    filters of one layer only: `select(scope="layer")`.

    Args:
        passes: the `Passes` over a model; no data are needed.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,).
    """
    return {
        key: _distances(filters(layer)).sum(axis=1)
        for key, layer in passes.kernels.items()
    }


def _distances(points):
    """Distances between all pairs of rows, float64 (rows, rows)."""
    # Around the mean the squares are small, and little cancels.
    points = points - points.mean(axis=0)
    squares = (points**2).sum(axis=1)
    squared = squares[:, None] + squares - 2 * points @ points.T
    np.fill_diagonal(squared, 0)
    return np.sqrt(np.maximum(squared, 0))
