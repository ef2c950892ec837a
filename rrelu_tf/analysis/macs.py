"""Multiply-accumulates and weights of convolution, linear, attention layers.

The counting of the RReLU paper's code: kernels only, no biases, and nothing
for normalisation, activations, pooling or additions. Attention is counted in
the same way: its four kernels, and the products of queries with keys and of
weights with values. One multiply-accumulate (MAC) is two floating-point
operations.
"""

import math
import operator

import keras

from rrelu_tf.errors import UserError


def kernels(layer):
    """The weights that count as convolution and linear weights.

    Args:
        layer: any built Keras layer or operation.

    Returns:
        List of variables, without biases; [] for a layer of another kind.
    """
    return [operator.attrgetter(name)(layer) for name in _rule(layer)[0]]


def macs(layer, input_shapes, output_shape):
    """MACs of one call of a layer, for one example.

    Args:
        layer: any built Keras layer or operation.
        input_shapes: tuples, of its inputs in call order, with the batch axis.
        output_shape: tuple, of its first output, with the batch axis.

    Returns:
        int; 0 for a layer of another kind.

    Raises:
        UserError: for a layer that counts, over axes of unknown size.
    """
    return _rule(layer)[1](layer, input_shapes, output_shape)


def _rule(layer):
    for classes, names, count in _RULES:
        if isinstance(layer, classes):
            return names, count
    return (), lambda *_: 0


def _convolution(layer, _, output_shape):
    # Each output position meets the whole kernel, which holds in / groups
    # channels per filter: groups and depthwise need no rule of their own.
    return _positions(layer, output_shape) * _size(layer)


def _transposed(layer, input_shapes, _):
    # Each input position meets the whole kernel.
    return _positions(layer, input_shapes[0]) * _size(layer)


def _dense(layer, _, output_shape):
    return _product(layer, output_shape[1:-1]) * _size(layer)


def _einsum(layer, _, output_shape):
    # Output elements, times the kernel's axes that are summed over.
    operands, result = layer.equation.replace(" ", "").split("->")
    axes = zip(operands.split(",")[1], layer.kernel.shape, strict=True)
    summed = math.prod(size for axis, size in axes if axis not in result)
    return _product(layer, output_shape[1:]) * summed


def _attention(layer, input_shapes, _):
    query, value = input_shapes[0], input_shapes[min(1, len(input_shapes) - 1)]
    sizes = {
        name: math.prod(operator.attrgetter(name)(layer).shape)
        for name in _ATTENTION
    }
    asked = _product(layer, query[1:-1])
    held = _product(layer, value[1:-1])
    projected = asked * (sizes[_QUERY] + sizes[_OUTPUT])
    projected += held * (sizes[_KEY] + sizes[_VALUE])
    *_, heads, width = operator.attrgetter(_QUERY)(layer).shape
    width += operator.attrgetter(_VALUE)(layer).shape[-1]
    # Along the axes that are not attended over, positions meet their own.
    axes = getattr(layer, "attention_axes", None) or (1,)
    seen = math.prod(value[axis] for axis in axes)
    return projected + asked * seen * heads * width


def _size(layer):
    return sum(math.prod(kernel.shape) for kernel in kernels(layer))


def _positions(layer, shape):
    channels_last = layer.data_format == "channels_last"
    return _product(layer, shape[1:-1] if channels_last else shape[2:])


def _product(layer, sizes):
    if None in sizes:
        raise UserError(
            "Counting operations needs a model whose input has a known size "
            f"on every axis but the batch. Received: {layer.name}={sizes}"
        )
    return math.prod(sizes)


_ATTENTION = _QUERY, _KEY, _VALUE, _OUTPUT = tuple(
    f"_{part}_dense.kernel" for part in ("query", "key", "value", "output")
)
_layers = keras.layers
# Classes, the names of their kernels, the count for one call.
_RULES = (
    (
        (_layers.Conv1D, _layers.Conv2D, _layers.Conv3D),
        ("kernel",),
        _convolution,
    ),
    (
        (_layers.DepthwiseConv1D, _layers.DepthwiseConv2D),
        ("kernel",),
        _convolution,
    ),
    (
        (_layers.SeparableConv1D, _layers.SeparableConv2D),
        ("depthwise_kernel", "pointwise_kernel"),
        _convolution,
    ),
    (
        (
            _layers.Conv1DTranspose,
            _layers.Conv2DTranspose,
            _layers.Conv3DTranspose,
        ),
        ("kernel",),
        _transposed,
    ),
    (_layers.Dense, ("kernel",), _dense),
    (_layers.EinsumDense, ("kernel",), _einsum),
    (
        (_layers.MultiHeadAttention, _layers.GroupQueryAttention),
        _ATTENTION,
        _attention,
    ),
)
