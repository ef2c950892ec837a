"""A learned token in front of a sequence."""

import keras
from keras import ops

from rrelu_tf.errors import UserError


@keras.saving.register_keras_serializable(package="rrelu_tf")
class ClassToken(keras.layers.Layer):
    """Puts one learned token in front of each sequence.

    Source: the `[class]` token of "An Image is Worth 16x16 Words"
    (Dosovitskiy et al., 2021), whose output a vision transformer classifies.

    Args:
        initializer: how the token begins.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Input shape:
        `(batch, tokens, width)`.

    Output shape:
        `(batch, 1 + tokens, width)`.
    """

    def __init__(self, initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        """Makes `token`, of shape `(width,)`."""
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise UserError(
                "A class token needs an input (batch, tokens, width) of a "
                f"known width. Received: input_shape={input_shape}"
            )
        self.token = self.add_weight(
            shape=(input_shape[-1],), name="token", initializer=self.initializer
        )

    def call(self, inputs):
        """`inputs` behind the token."""
        inputs = ops.cast(inputs, self.compute_dtype)
        token = ops.broadcast_to(
            ops.cast(self.token, self.compute_dtype),
            (ops.shape(inputs)[0], 1, inputs.shape[-1]),
        )
        return ops.concatenate([token, inputs], axis=1)

    def compute_output_shape(self, input_shape):
        """One token more."""
        batch, tokens, width = input_shape
        return batch, tokens and tokens + 1, width

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "initializer": keras.saving.serialize_keras_object(
                self.initializer
            ),
        }
