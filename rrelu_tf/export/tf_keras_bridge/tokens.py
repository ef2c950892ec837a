"""A transformer's learned tokens as tf_keras layers."""

import tensorflow as tf

from rrelu_tf.export.tf_keras_bridge import legacy
from rrelu_tf.export.tf_keras_bridge.optimizable import Optimizable, register
from rrelu_tf.export.tf_keras_bridge.quantize_configs import Weighted

tf_keras, _ = legacy.load()


class _Learned(Optimizable, tf_keras.layers.Layer):
    """A layer of one weight.

    Args:
        initializer: of tf_keras.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    weight = None

    def __init__(self, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.initializer = tf_keras.initializers.get(initializer)

    def _make(self, shape):
        return self.add_weight(
            name=self.weight, shape=shape, initializer=self.initializer
        )

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "initializer": tf_keras.initializers.serialize(self.initializer),
        }

    def quantize_config(self):
        """The weight and the output in 8 bits."""
        return Weighted(self.weight)


@register
class ClassToken(_Learned):
    """Puts one learned token in front of each sequence.

    `(batch, tokens, width)` becomes `(batch, 1 + tokens, width)`.
    """

    weight = "token"

    def build(self, input_shape):
        """Makes `token`, of shape `(width,)`."""
        self.token = self._make((input_shape[-1],))
        super().build(input_shape)

    def call(self, inputs):
        """`inputs` behind the token."""
        token = tf.cast(self.token, inputs.dtype)
        shape = tf.shape(inputs)[0], 1, inputs.shape[-1]
        return tf.concat([tf.broadcast_to(token, shape), inputs], axis=1)

    def compute_output_shape(self, input_shape):
        """One token more."""
        batch, tokens, width = input_shape
        return tf.TensorShape([batch, tokens and tokens + 1, width])


@register
class PositionEmbedding(_Learned):
    """Adds a learned vector to the token at each place."""

    weight = "positions"

    def build(self, input_shape):
        """Makes `positions`, of shape `(tokens, width)`."""
        self.positions = self._make(tuple(input_shape[1:]))
        super().build(input_shape)

    def call(self, inputs):
        """`inputs + positions`."""
        return inputs + tf.cast(self.positions, inputs.dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape
