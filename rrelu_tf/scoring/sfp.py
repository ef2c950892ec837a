"""The score of soft filter pruning: a filter's Euclidean norm."""

import numpy as np

from rrelu_tf.scoring.filters import filters


def sfp(passes):
    """The L2 norm of a filter, its bias not counted.

    Source: He et al. (2018), "Soft Filter Pruning for Accelerating Deep
    Convolutional Neural Networks", section 3.2. They zero the same share of
    each layer after every epoch; here it is a score like the others.

    Args:
        passes: the `Passes` over a model; no data are needed.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,).
    """
    return {
        key: np.linalg.norm(filters(layer), axis=1)
        for key, layer in passes.kernels.items()
    }
