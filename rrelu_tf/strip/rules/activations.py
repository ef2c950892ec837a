"""Activations without weights."""

import keras
import numpy as np

from rrelu_tf.strip.rules.base import ChannelWise
from rrelu_tf.strip.rules.table import rule

_ELEMENTWISE = {
    getattr(keras.activations, name)
    for name in (
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "squareplus",
        "tanh",
        "tanh_shrink",
        "threshold",
    )
}


def is_elementwise(activation):
    """Whether Keras's function keeps channels apart; an unknown one may not."""
    return activation is None or activation in _ELEMENTWISE


def is_silent(activation):
    """Whether the function is known to turn 0 into exactly 0."""
    if activation is None:
        return True
    if activation not in _ELEMENTWISE:
        return False
    at_zero = activation(keras.ops.zeros((1, 1)))
    return not np.any(keras.ops.convert_to_numpy(at_zero))


@rule(keras.layers.Activation)
class Activation(ChannelWise):
    """`Activation` with a function that is known to be element-wise."""

    def covers(self, call):
        """Not softmax, nor a function of unknown making."""
        elementwise = is_elementwise(call.layer.activation)
        return elementwise and super().covers(call)

    def silent(self, layer):
        """f(0) = 0."""
        return is_silent(layer.activation)


@rule(keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)
class Rectifier(ChannelWise):
    """Activation layers that turn 0 into 0 whatever their settings."""

    def silent(self, layer):
        """f(0), of the layer itself: ReLU's `threshold` may be negative."""
        at_zero = type(layer).from_config(layer.get_config())(
            keras.ops.zeros((1, 1))
        )
        return not np.any(keras.ops.convert_to_numpy(at_zero))
