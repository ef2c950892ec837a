"""Gathers and scales of channels as tf_keras layers."""

import numpy as np
import tensorflow as tf

from rrelu_tf.export.tf_keras_bridge import legacy
from rrelu_tf.export.tf_keras_bridge.optimizable import Optimizable, register
from rrelu_tf.export.tf_keras_bridge.quantize_configs import Computed, Moved

tf_keras, _ = legacy.load()


@register
class ChannelGather(Optimizable, tf_keras.layers.Layer):
    """Output channel `i` is input channel `indices[i]`; `fill` if that is -1.

    As `rrelu_tf.layers.ChannelGather`, of the same arguments.
    """

    def __init__(self, indices, axis=-1, fill=0.0, **kwargs):
        super().__init__(**kwargs)
        self.indices, self.axis, self.fill = list(indices), axis, fill
        self.supports_masking = True

    def call(self, inputs):
        """The chosen channels of `inputs`."""
        indices = np.array(self.indices)
        axis = self.axis % len(inputs.shape)
        there = indices >= 0
        made = tf.gather(inputs, np.maximum(indices, 0), axis=axis)
        if there.all():
            return made
        shape = [1] * len(inputs.shape)
        shape[axis] = len(indices)
        fill = np.where(there, 0.0, self.fill)
        fill = tf.constant(fill.reshape(shape), inputs.dtype)
        return tf.where(there.reshape(shape), made, fill)

    def compute_output_shape(self, input_shape):
        """The input's shape, with `len(indices)` channels."""
        shape = list(input_shape)
        shape[self.axis] = len(self.indices)
        return tf.TensorShape(shape)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "indices": list(self.indices),
            "axis": self.axis,
            "fill": np.array(self.fill).tolist(),
        }

    def quantize_config(self):
        """Its values are the input's, unless it fills others in."""
        return Computed() if np.any(self.fill) else Moved()


@register
class Rescaling(Optimizable, tf_keras.layers.Layer):
    """`inputs * scale + offset`, as Keras 3's `Rescaling`.

    That of tf_keras rounds lists of numbers to float32, and TFMOT refuses it.
    """

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True

    def call(self, inputs):
        """The scaled inputs."""
        inputs = tf.cast(inputs, self.compute_dtype)
        scale, offset = (
            tf.constant(np.asarray(number, "float64"), inputs.dtype)
            for number in (self.scale, self.offset)
        )
        return inputs * scale + offset

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "scale": np.array(self.scale).tolist(),
            "offset": np.array(self.offset).tolist(),
        }

    def quantize_config(self):
        """The output in 8 bits."""
        return Computed()
