"""Rectifiers in a model: those that can be rotated, and the others."""

import keras
import tensorflow as tf
from keras import layers, ops

from rrelu_tf.layers import AUGMENTED, RGELU, RReLU, RSiLU
from rrelu_tf.strip.graph import operation_class

# Layers whose own activation is the last thing they compute.
ACTIVATED = (
    *(*AUGMENTED, *AUGMENTED.values()),  # dense layers and convolutions
    layers.EinsumDense,
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
)
# `ops.gelu` is not among them: by default it approximates.
_BY_FUNCTION = (
    *((keras.activations.relu, RReLU), (ops.relu, RReLU), (tf.nn.relu, RReLU)),
    *((keras.activations.gelu, RGELU), (tf.nn.gelu, RGELU)),
    *((keras.activations.silu, RSiLU), (ops.silu, RSiLU), (tf.nn.silu, RSiLU)),
)
_TENSOR = keras.KerasTensor((None, 1))
_RELU, _SILU, _GELU, _RELU6, _LEAKY, _FULL_RELU = (
    operation_class(function, _TENSOR)
    for function in (
        *(ops.relu, ops.silu, ops.gelu, ops.relu6, ops.leaky_relu),
        keras.activations.relu,  # a class of its own, with all arguments
    )
)
_THRESHOLD = operation_class(ops.threshold, _TENSOR, 0.0, 0.0)
_RECTIFIERS = (
    *(layers.ReLU, layers.LeakyReLU, layers.PReLU, _FULL_RELU, _RELU),
    *(_SILU, _GELU, _RELU6, _LEAKY, _THRESHOLD),
)
_NAMES = ("relu", "gelu", "silu", "swish", "relu6", "leaky_relu")


def _functions(names):
    """Those of these names, Keras's twice and TensorFlow's."""
    modules = (keras.activations, ops, tf.nn)
    pairs = ((module, name) for name in names for module in modules)
    return [getattr(*pair) for pair in pairs if hasattr(*pair)]


_RECTIFYING = _functions(_NAMES)
# Known not to be of the kind: sigmoid, tanh, softmax ...
_OTHERS = _functions(x for x in dir(keras.activations) if x not in _NAMES)
_OTHER_LAYERS = (layers.Softmax, layers.ELU)


def rotated_class(layer):
    """The rotated class that a layer's rectifier becomes, or None.

    Args:
        layer: a Keras layer or operation.
    """
    if type(layer) in (layers.ReLU, _FULL_RELU):
        plain = not layer.negative_slope and not layer.threshold
        return RReLU if plain and layer.max_value is None else None
    if type(layer) is layers.Activation or type(layer) in ACTIVATED:
        return _class_inside(layer)
    if type(layer) is _GELU:
        return None if layer.approximate else RGELU
    return {_RELU: RReLU, _SILU: RSiLU}.get(type(layer))


def _class_inside(layer):
    """Of a layer's activation, which may be a layer, too."""
    function = layer.activation
    if not isinstance(function, layers.Layer):
        found = (kind for known, kind in _BY_FUNCTION if known is function)
        return next(found, None)
    alike = (
        type(function) not in ACTIVATED
        and function.dtype_policy == layer.dtype_policy
        and function.activity_regularizer is None
    )
    return rotated_class(function) if alike else None


def rectifies(layer):
    """Whether a layer or operation applies a rectifier, or may.

    True also of one that keeps such a layer inside, as wrappers and recurrent
    layers do, and of an activation that is a function unknown to Keras.
    """
    return any(_is_rectifier(part) for part in _parts(layer))


def _is_rectifier(layer):
    if isinstance(layer, _RECTIFIERS):
        return True
    if isinstance(layer, layers.Lambda):  # else it may compute anything
        return any(layer.function is known for known in _RECTIFYING)
    function = vars(layer).get("activation")
    if isinstance(function, (*_OTHER_LAYERS, layers.Activation)):
        return False
    return callable(function) and not any(function is x for x in _OTHERS)


def _parts(layer):
    """A layer and all those that it keeps among its attributes."""
    found, waiting = {}, [layer]
    while waiting:
        part = waiting.pop()
        if id(part) in found:
            continue
        found[id(part)] = part
        for value in vars(part).values():
            several = isinstance(value, (list, tuple))
            within = value if several else [value]
            if isinstance(value, dict):
                within = value.values()
            waiting += [x for x in within if isinstance(x, keras.Operation)]
    return found.values()
