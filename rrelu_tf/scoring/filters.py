"""What each filter of a layer holds: the weights that make one channel."""

import keras

from rrelu_tf.filters import of_channels


def has_filters(layer):
    """Whether a layer is a convolution or dense layer, a filter a channel."""
    return of_channels(layer) is not None


def kernel(layer):
    """The `keras.Variable` whose entries are the filters'."""
    return of_channels(layer).variable


def channel_axes(layer):
    """The axes, from 0, of `kernel(layer)` along which the channels lie.

    One, or two of a depthwise convolution, whose output `c * multiplier + m`
    is made by the m-th kernel of input channel c.
    """
    axes = of_channels(layer).axes
    rank = len(kernel(layer).shape)
    axes = axes if isinstance(axes, tuple) else (axes,)
    return tuple(axis % rank for axis in axes)


def entry_axes(layer):
    """The other axes of `kernel(layer)`: those of a filter's entries."""
    rank = len(kernel(layer).shape)
    return tuple(sorted(set(range(rank)) - set(channel_axes(layer))))


def channels(layer):
    """int: how many filters there are."""
    return of_channels(layer).count


def fan_in(layer):
    """int: entries of a filter, the bias not counted."""
    return of_channels(layer).fan_in


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
