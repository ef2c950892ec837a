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
    """Output channel `i` is input channel `indices[i]`, or 0 where that is -1.

    Channels are the last axis. `rrelu_tf.strip` puts this layer where a reader
    wants other channels than its producer kept; the parameter-free shortcut of
    the CIFAR ResNets (option A) is one, too.

    Args:
        indices: non-empty list of ints, each -1 or more.
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Input shape:
        `(batch, ..., channels)` with `channels > max(indices)`.

    Output shape:
        `(batch, ..., len(indices))`.
    """

    def __init__(self, indices, **kwargs):
        super().__init__(**kwargs)
        self.indices = [int(i) for i in indices]
        if not self.indices or min(self.indices) < -1:
            raise UserError(
                "ChannelGather needs at least one index, each -1 or more. "
                f"Received: indices={self.indices}"
            )
        self.supports_masking = True

    def build(self, input_shape):
        """Checks the indices against the input's channels."""
        if input_shape[-1] is None:
            raise UserError(
                "ChannelGather needs an input with a known last axis. "
                f"Received: input_shape={input_shape}"
            )
        if max(self.indices) >= input_shape[-1]:
            raise UserError(
                "ChannelGather's indices must lie below the input's "
                f"{input_shape[-1]} channels. "
                f"Received: max(indices)={max(self.indices)}"
            )

    def call(self, inputs):
        """The chosen channels of `inputs`."""
        indices = np.array(self.indices)
        real = np.flatnonzero(indices >= 0)
        if not real.size:
            return ops.zeros_like(ops.take(inputs, indices * 0, axis=-1))
        first, last = real[0], real[-1]
        inner = indices[first : last + 1]
        # A run of neighbours is a slice: several times cheaper, and so is its
        # gradient, than a gather.
        if np.array_equal(inner, np.arange(inner[0], inner[0] + len(inner))):
            outputs = inputs[..., inner[0] : inner[0] + len(inner)]
        else:
            outputs = _pick(inputs, inner)
        before, after = int(first), len(indices) - 1 - int(last)
        if before or after:
            pads = [(0, 0)] * (len(inputs.shape) - 1) + [(before, after)]
            outputs = ops.pad(outputs, pads)
        return outputs

    def compute_output_shape(self, input_shape):
        """The input's shape, with `len(indices)` channels."""
        return (*input_shape[:-1], len(self.indices))

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {**super().get_config(), "indices": self.indices}


def _pick(inputs, indices):
    """The channels `indices` of `inputs`, 0 where -1, in any order."""
    if _as_product(inputs):
        # Exact: a sum of one value and zeros is that value.
        matrix = indices == np.arange(inputs.shape[-1])[:, None]
        return ops.tensordot(inputs, ops.cast(matrix, inputs.dtype), axes=1)
    outputs = ops.take(inputs, np.maximum(indices, 0), axis=-1)
    if (indices < 0).any():
        outputs = outputs * ops.cast(indices >= 0, outputs.dtype)
    return outputs


def _as_product(inputs):
    """Whether a product is both cheaper and exact here.

    GPUs gather fast, and may round the factors of a product (TensorFloat-32).
    """
    return (
        inputs.shape[-1] <= _FEW
        and "float" in keras.backend.standardize_dtype(inputs.dtype)
        and not tf.config.list_physical_devices("GPU")
    )
