"""The slope score: how much a rotated activation lets through."""

import keras
import numpy as np

from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of
from rrelu_tf.strip.output_layers import output_layers


def slope(passes):
    """|slope| per channel of each rotated activation but the output's.

    Source: Nayak & Kalyani (TMLR 2024) and their code, which silences a
    channel where |slope| <= zeta.

    Args:
        passes: the `Passes` over a model; no data are needed.

    Returns:
        dict: layer name, `outer/inner` inside nested models -> float array
        (channels,).
    """
    outputs = output_layers(passes.model)
    return {
        key: np.abs(keras.ops.convert_to_numpy(layer.slope))
        for key, layer in layers_of(passes.model, Rotated).items()
        if key not in outputs
    }
