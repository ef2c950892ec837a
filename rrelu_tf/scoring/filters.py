"""Which entries of a layer's kernel make which of its output channels."""

import math

import keras

_layers = keras.layers
_LAST = (
    *(_layers.Conv1D, _layers.Conv2D, _layers.Conv3D, _layers.Dense),
    *(_layers.SeparableConv1D, _layers.SeparableConv2D),
)
_TRANSPOSED = (
    *(_layers.Conv1DTranspose, _layers.Conv2DTranspose),
    _layers.Conv3DTranspose,
)
_DEPTHWISE = (_layers.DepthwiseConv1D, _layers.DepthwiseConv2D)


def has_filters(layer):
    """Whether a layer is a convolution or dense layer: a filter a channel.

    An `EinsumDense` is one if its kernel makes the last axis of its output and
    no other one, and its bias, if it has any, lies along that axis.
    """
    if isinstance(layer, _layers.EinsumDense):
        return _makes_last_axis_only(layer)
    return isinstance(layer, (*_LAST, *_TRANSPOSED, *_DEPTHWISE))


def kernel(layer):
    """The `keras.Variable` whose entries are the filters'.

    Of a separable convolution the pointwise kernel: its depthwise one belongs
    to no single channel of the output.
    """
    separable = hasattr(layer, "pointwise_kernel")
    return layer.pointwise_kernel if separable else layer.kernel


def channel_axes(layer):
    """The axes, from 0, of `kernel(layer)` along which the channels lie.

    One, or two of a depthwise convolution, whose output `c * multiplier + m`
    is made by the m-th kernel of input channel c.
    """
    rank = len(kernel(layer).shape)
    if isinstance(layer, _layers.EinsumDense):
        _, letters, made = _letters(layer)
        return (letters.index(made[-1]),)
    if isinstance(layer, _DEPTHWISE):
        return (rank - 2, rank - 1)
    return (rank - 2,) if isinstance(layer, _TRANSPOSED) else (rank - 1,)


def entry_axes(layer):
    """The other axes of `kernel(layer)`: those of a filter's entries."""
    rank = len(kernel(layer).shape)
    return tuple(sorted(set(range(rank)) - set(channel_axes(layer))))


def channels(layer):
    """int: how many filters there are."""
    shape = kernel(layer).shape
    return math.prod(shape[axis] for axis in channel_axes(layer))


def fan_in(layer):
    """int: entries of a filter, the bias not counted."""
    shape = kernel(layer).shape
    return math.prod(shape[axis] for axis in entry_axes(layer))


def filters(layer):
    """float64 (channels, entries): the filters as rows, without biases."""
    values = keras.ops.convert_to_numpy(kernel(layer)).astype("float64")
    order = (*channel_axes(layer), *entry_axes(layer))
    return values.transpose(order).reshape(channels(layer), -1)


def weights(layer):
    """The `keras.Variable`s of the filters: the kernel and a bias, if any."""
    return [kernel(layer)] + [layer.bias] * (layer.bias is not None)


def summed(layer, values):
    """Sums over each filter's entries and bias.

    Args:
        layer: the layer.
        values: tensors or arrays like `weights(layer)`.

    Returns:
        List of tensors (channels,), one for each of `values`.
    """
    axes = [entry_axes(layer), tuple(range(len(values[-1].shape) - 1))]
    return [
        keras.ops.reshape(keras.ops.sum(value, axis=axis), (-1,))
        for value, axis in zip(values, axes, strict=False)
    ]


def _makes_last_axis_only(layer):
    given, letters, made = _letters(layer)
    alone = [letter for letter in letters if letter not in given] == [made[-1]]
    return alone and (layer.bias is None or made[-1] in layer.bias_axes)


def _letters(layer):
    """The axes of the input, the kernel and the output."""
    operands, made = layer.equation.replace(" ", "").split("->")
    return (*operands.split(","), made)
