"""A model with fewer channels, whichever: to take a pruned net's weights."""

import numpy as np

from rrelu_tf.pruning.masking import mask
from rrelu_tf.strip import strip


def narrow(model, widths):
    """The model with so many channels in these layers.

    Args:
        model: a new functional `keras.Model`, whose norms' beta and biases
            are still 0.
        widths: dict: layer name -> int, the channels that it is to have.

    Returns:
        A new model; its weights are some of `model`'s, and mean nothing.
    """
    sizes = {key: model.get_layer(key).output.shape[-1] for key in widths}
    keep = {key: np.arange(sizes[key]) < n for key, n in widths.items()}
    small = strip(mask(model, keep))
    small.kept = small.axes = None  # nobody knows which they were
    return small
