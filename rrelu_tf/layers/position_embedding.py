"""A learned vector for each place in a sequence."""

import keras
from keras import ops

from rrelu_tf.errors import UserError


@keras.saving.register_keras_serializable(package="rrelu_tf")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to the token at each place.

    Source: the position embedding of "An Image is Worth 16x16 Words"
    (Dosovitskiy et al., 2021).

    Args:
        initializer: how the vectors begin.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Input shape:
        `(batch, tokens, width)`, of known sizes but for the batch.

    Output shape:
        The same as the input's.
    """

    def __init__(self, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        """Makes `positions`, of shape `(tokens, width)`."""
        if len(input_shape) != 3 or None in input_shape[1:]:
            raise UserError(
                "Positions need an input (batch, tokens, width) of known "
                f"sizes. Received: input_shape={input_shape}"
            )
        self.positions = self.add_weight(
            shape=tuple(input_shape[1:]),
            name="positions",
            initializer=self.initializer,
        )

    def call(self, inputs):
        """`inputs + positions`."""
        return ops.cast(inputs, self.compute_dtype) + self.positions

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "initializer": keras.saving.serialize_keras_object(
                self.initializer
            ),
        }
