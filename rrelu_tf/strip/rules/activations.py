"""Activations without weights, as layers and as `keras.ops`."""

import keras
import numpy as np
from keras import ops

from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import Elementwise, Rule
from rrelu_tf.strip.rules.table import enter, rule

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


def activated(activation, values):
    """f of known values; NaN stays NaN, and where f is not element-wise."""
    if activation is None or not values.size:
        return values
    if activation not in _ELEMENTWISE:
        return np.full_like(values, np.nan)
    known = ~np.isnan(values)
    if not known.any():
        return values
    given = ops.convert_to_tensor(np.where(known, values, 0.0), "float64")
    return np.where(known, ops.convert_to_numpy(activation(given)), np.nan)


@rule(keras.layers.Activation)
class Activation(Elementwise):
    """`Activation` with a function that is known to be element-wise."""

    def covers(self, call):
        """Not softmax, nor a function of unknown making."""
        elementwise = is_elementwise(call.layer.activation)
        return elementwise and super().covers(call)

    def otherwise(self, call):
        """The barrier that Keras's own other functions are."""
        return _MIXING.get(call.layer.activation)

    def map(self, call, values):
        """f of the values."""
        return activated(call.layer.activation, values)


@rule(
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.Identity,
)
class Rectifier(Elementwise):
    """Activation layers: what they do with a value, they are asked."""

    def map(self, call, values):
        """The layer itself, in float64."""
        layer = clone(call.layer, dtype="float64")
        outputs = layer(ops.convert_to_tensor(values[None], "float64"))
        return ops.convert_to_numpy(outputs)[0]


def _operations():
    """Classes of the element-wise `keras.ops` of one argument."""
    tensor = keras.KerasTensor((None, 1))
    names = (
        *("abs", "celu", "cos", "elu", "erf", "exp", "expm1", "gelu"),
        *("hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "log"),
        *("log1p", "log_sigmoid", "negative", "reciprocal", "relu", "relu6"),
        *("rsqrt", "selu", "sigmoid", "sign", "silu", "sin", "softplus"),
        *("softsign", "sqrt", "square", "tanh"),
    )
    classes = {operation_class(getattr(ops, name), tensor) for name in names}
    return classes | {operation_class(ops.clip, tensor, 0, 1)}


@rule(*_operations())
class Operation(Elementwise):
    """`keras.ops.relu` and its like."""

    def covers(self, call):
        """Not with an array among the arguments."""
        return not call.node.constants and super().covers(call)

    def map(self, call, values):
        """The operation itself, in float64."""
        given = ops.convert_to_tensor(values[None], "float64")
        (made,) = call.node.call(clone(call.layer), [given])
        return ops.convert_to_numpy(made)[0]


class Mixing(Rule):
    """A barrier, such as a softmax: e^0 = 1 takes its share of the sum."""

    def __init__(self, barrier):
        self.barrier = barrier


def _mixing():
    """function of `keras.activations` -> its rule; enters their operations."""
    tensor, found = keras.KerasTensor((None, 2)), {}
    for name, barrier in (
        ("softmax", "softmax shares its sum over channels"),
        ("log_softmax", "log_softmax takes its sum over channels"),
        ("sparsemax", "sparsemax shares its sum over channels"),
        ("glu", "glu multiplies one half of the channels by the other"),
    ):
        made = Mixing(barrier)
        enter(made, operation_class(getattr(ops, name), tensor))
        found[getattr(keras.activations, name)] = made
    enter(found[keras.activations.softmax], keras.layers.Softmax)
    return found


_MIXING = _mixing()
