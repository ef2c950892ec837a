"""The BN score: how much a batch normalisation lets through."""

import keras
import numpy as np

from rrelu_tf.strip.graph import layers_of


def bn(model):
    """|gamma| per channel of each batch normalisation that has a scale.

    Source: Liu et al. (2017), "Learning Efficient Convolutional Networks
    through Network Slimming", section 3: an L1 penalty on the gammas while
    training, and one threshold on |gamma| over all layers.

    Args:
        model: a functional `keras.Model`.

    Returns:
        dict: layer name, `outer/inner` inside nested models -> float array
        (channels,).
    """
    norms = layers_of(model, keras.layers.BatchNormalization)
    return {
        key: np.abs(keras.ops.convert_to_numpy(layer.gamma))
        for key, layer in norms.items()
        if layer.scale
    }
