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
        "sparse_sigmoid",
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


def _classes(names, *arguments):
    """Classes of the element-wise `keras.ops` of these names."""
    tensor = keras.KerasTensor((None, 1))
    functions = [getattr(ops, name) for name in names]
    return {operation_class(made, tensor, *arguments) for made in functions}


_SMOOTH = (
    *("abs", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh"),
    *("cbrt", "celu", "copy", "cos", "cosh", "deg2rad", "elu", "erf", "erfc"),
    *("erfinv", "exp", "exp2", "expm1", "gelu", "hard_sigmoid", "hard_silu"),
    *("hard_tanh", "leaky_relu", "log", "log10", "log1p", "log2"),
    *("log_sigmoid", "negative", "rad2deg", "reciprocal", "relu", "relu6"),
    *("rsqrt", "selu", "sigmoid", "silu", "sin", "sinc", "sinh", "soft_shrink"),
    *("softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sqrt"),
    *("square", "squareplus", "stop_gradient", "tan", "tanh", "tanh_shrink"),
)
_STEPPED = ("ceil", "floor", "hard_shrink", "round", "sign", "trunc")


@rule(
    *_classes(_SMOOTH),
    *_classes(["clip"], 0, 1),
    *_classes(["power"], 2.0),
    *_classes(["cast", "saturate_cast"], "float32"),
)
class Operation(Elementwise):
    """`keras.ops.relu` and its like."""

    def covers(self, call):
        """Floats, and no array among the arguments."""
        floats = all(
            "float" in call.graph.tensors[tensor].dtype
            for tensor in (*call.node.inputs, *call.node.outputs)
        )
        return floats and not call.node.constants and super().covers(call)

    def map(self, call, values):
        """The operation itself, in float64."""
        given = ops.convert_to_tensor(values[None], "float64")
        (made,) = call.node.call(clone(call.layer), [given])
        return ops.convert_to_numpy(made)[0].astype("float64")


@rule(*_classes(_STEPPED), *_classes(["threshold"], 0.5, 0.0))
class Stepped(Operation):
    """Functions that jump: only of 0 is it known on which side it falls.

    Another number may be rounded to the other side of a step.
    """

    def map(self, call, values):
        """f(0) of zeros."""
        made = super().map(call, np.zeros_like(values))
        return np.where(values == 0, made, np.nan)


class Mixing(Rule):
    """A barrier: an `Activation` whose function mixes the last axis."""

    def __init__(self, barrier):
        self.barrier = barrier


_GLU = Mixing("glu multiplies one half of the channels by the other")
enter(_GLU, operation_class(ops.glu, keras.KerasTensor((None, 2))))
_MIXING = {
    keras.activations.softmax: Mixing("softmax shares its sum over channels"),
    keras.activations.log_softmax: Mixing(
        "log_softmax takes its sum over channels"
    ),
    keras.activations.sparsemax: Mixing(
        "sparsemax shares its sum over channels"
    ),
    keras.activations.glu: _GLU,
}
