"""The slopes of a model's rotated activations, and how many are alive."""

import numpy as np

from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of


def of(model):
    """Maps the name of each rotated layer to its slopes, `(channels,)`."""
    return {
        key: np.asarray(layer.slope)
        for key, layer in layers_of(model, Rotated).items()
    }


def alive(slopes, zeta):
    """Maps each layer to how many of its slopes have |slope| > zeta."""
    return {
        name: int(np.count_nonzero(np.abs(values) > zeta))
        for name, values in slopes.items()
    }
