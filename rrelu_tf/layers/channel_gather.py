"""Picks, drops and re-orders channels; puts zero channels in."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from rrelu_tf.errors import UserError

# Up to so many channels, a product with a 0-1 matrix is about twice as cheap on
# a CPU as a gather, which copies value by value (benchmarks/layers.py).
_FEW = 256


@keras.saving.register_keras_serializable(package="rrelu_tf")
class ChannelGather(keras.layers.Layer):
    """Output channel `i` is input channel `indices[i]`; `fill` if that is -1.

    `rrelu_tf.strip` puts this layer where a reader wants other channels than
    its producer kept; the parameter-free shortcut of the CIFAR ResNets
    (option A) is one, too.

    Args:
        indices: non-empty list of ints, each -1 or more.
        axis: int, the channels' axis, counting the batch; the last by default.
        fill: number, or list of one per index: the value where that is -1.
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Input shape:
        Any, with a known size above `max(indices)` on `axis`.

    Output shape:
        The same, with `len(indices)` on `axis`.
    """

    def __init__(self, indices, axis=-1, fill=0.0, **kwargs):
        super().__init__(**kwargs)
        # An array: of a list, Keras tracks every number.
        self._indices = np.array([int(i) for i in indices], int)
        if not self._indices.size or self._indices.min() < -1:
            raise UserError(
                "ChannelGather needs at least one index, each -1 or more. "
                f"Received: indices={self.indices}"
            )
        if axis == 0 or isinstance(axis, bool) or not isinstance(axis, int):
            raise UserError(
                "ChannelGather's axis must be an int, and not the batch axis. "
                f"Received: axis={axis}"
            )
        if np.shape(fill) not in ((), self._indices.shape):
            raise UserError(
                "ChannelGather's fill must be a number or one per index. "
                f"Received: fill of shape {np.shape(fill)}"
            )
        self.axis = axis
        given = np.where(self._indices < 0, fill, 0.0)
        same = len(set(given.tolist())) == 1 or not given.any()
        self._fill = given[0] if same else given
        self.supports_masking = True

    @property
    def indices(self):
        """The input's channel of every output channel, -1 where none is."""
        return self._indices.tolist()

    @property
    def fill(self):
        """The value of channels that none is, or one per output channel."""
        return self._fill.tolist()

    def build(self, input_shape):
        """Checks the indices against the input's channels."""
        size = input_shape[self.axis]
        if size is None:
            raise UserError(
                "ChannelGather needs an input of a known size on its axis. "
                f"Received: input_shape={input_shape}"
            )
        if self._indices.max() >= size:
            raise UserError(
                "ChannelGather's indices must lie below the input's "
                f"{size} channels. "
                f"Received: max(indices)={self._indices.max()}"
            )

    def call(self, inputs):
        """The chosen channels of `inputs`."""
        indices = self._indices
        fill = np.broadcast_to(self._fill, indices.shape)
        axis = self.axis % len(inputs.shape)
        real = np.flatnonzero(indices >= 0)
        if not real.size:
            zeros = ops.zeros_like(ops.take(inputs, indices * 0, axis=axis))
            return _filled(zeros, fill, axis)
        first, last = real[0], real[-1]
        inner = indices[first : last + 1]
        # A slice is several times cheaper, and so is its gradient, than a
        # gather.
        if _neighbours(inner):
            cut = slice(int(inner[0]), int(inner[0]) + len(inner))
            outputs = inputs[(*[slice(None)] * axis, cut)]
        else:
            outputs = _pick(inputs, inner, axis)
        before, after = int(first), len(indices) - 1 - int(last)
        if before or after:
            pads = [(0, 0)] * len(inputs.shape)
            pads[axis] = (before, after)
            outputs = ops.pad(outputs, pads)
        return _filled(outputs, fill, axis)

    def way(self, input_shape):
        """How a CPU picks channels of floats: "slice", "product" or "take".

        Args:
            input_shape: the input's shape, with the batch.
        """
        indices = np.trim_zeros(self._indices + 1) - 1
        if _neighbours(indices):
            return "slice"
        last = self.axis % len(input_shape) == len(input_shape) - 1
        return "product" if last and input_shape[-1] <= _FEW else "take"

    def compute_output_shape(self, input_shape):
        """The input's shape, with `len(indices)` channels."""
        shape = list(input_shape)
        shape[self.axis] = len(self._indices)
        return tuple(shape)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "indices": self.indices,
            "axis": self.axis,
            "fill": self.fill,
        }


def _neighbours(indices):
    """Whether every index is the one before it plus 1."""
    return bool((np.diff(indices) == 1).all())


def _pick(inputs, indices, axis):
    """The channels `indices` of `inputs`, 0 where -1, in any order."""
    if axis == len(inputs.shape) - 1 and as_product(inputs):
        # Exact: a sum of one value and zeros is that value.
        matrix = indices == np.arange(inputs.shape[-1])[:, None]
        return ops.tensordot(inputs, ops.cast(matrix, inputs.dtype), axes=1)
    outputs = ops.take(inputs, np.maximum(indices, 0), axis=axis)
    if (indices < 0).any():
        outputs = outputs * _along(indices >= 0, outputs, axis)
    return outputs


def _filled(outputs, fill, axis):
    """Adds the values for channels that are 0 so far."""
    return outputs + _along(fill, outputs, axis) if fill.any() else outputs


def _along(vector, tensor, axis):
    shape = [1] * len(tensor.shape)
    shape[axis] = len(vector)
    return ops.cast(np.reshape(vector, shape), tensor.dtype)


def as_product(inputs):
    """Whether a product along the last axis is both cheaper and exact here.

    GPUs gather fast, and may round the factors of a product (TensorFloat-32).
    """
    return (
        inputs.shape[-1] <= _FEW
        and "float" in keras.backend.standardize_dtype(inputs.dtype)
        and not tf.config.list_physical_devices("GPU")
    )
