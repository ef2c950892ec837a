"""Rotated activations as tf_keras layers."""

import tensorflow as tf

from rrelu_tf.export.tf_keras_bridge import legacy
from rrelu_tf.export.tf_keras_bridge.optimizable import Optimizable, register
from rrelu_tf.export.tf_keras_bridge.quantize_configs import Weighted

tf_keras, _ = legacy.load()


class Rotated(Optimizable, tf_keras.layers.Layer):
    """`slope * f(x)` on the last axis, as `rrelu_tf.layers.Rotated`.

    Pruning and clustering leave the slopes alone: they are few. Quantised are
    the slopes, `f(x)` and the output.

    Args:
        slope_initializer: of tf_keras, as the next two.
        slope_regularizer: see above.
        slope_constraint: see above.
        **kwargs: `name`, `dtype`, `trainable`.

    Input shape:
        `(batch, ..., channels)`, rank 2 or more.

    Output shape:
        The same as the input's.
    """

    function = None

    def __init__(
        self,
        slope_initializer="ones",
        slope_regularizer=None,
        slope_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.slope_initializer = tf_keras.initializers.get(slope_initializer)
        self.slope_regularizer = tf_keras.regularizers.get(slope_regularizer)
        self.slope_constraint = tf_keras.constraints.get(slope_constraint)
        # TFMOT exchanges it for one that quantises.
        self.activation = tf_keras.activations.get(self.function)
        self.supports_masking = True

    def build(self, input_shape):
        """Makes `slope`, of shape `(channels,)`."""
        self.slope = self.add_weight(
            name="slope",
            shape=(input_shape[-1],),
            initializer=self.slope_initializer,
            regularizer=self.slope_regularizer,
            constraint=self.slope_constraint,
        )
        super().build(input_shape)

    def call(self, inputs):
        """`slope * f(inputs)`, per channel of the last axis."""
        made = self.activation(inputs)
        return made * tf.cast(self.slope, made.dtype)

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "slope_initializer": tf_keras.initializers.serialize(
                self.slope_initializer
            ),
            "slope_regularizer": tf_keras.regularizers.serialize(
                self.slope_regularizer
            ),
            "slope_constraint": tf_keras.constraints.serialize(
                self.slope_constraint
            ),
        }

    def quantize_config(self):
        """Slopes, activation and output in 8 bits."""
        return Weighted("slope", activation=True)


@register
class RReLU(Rotated):
    """`slope * max(x, 0)`."""

    function = "relu"


@register
class RGELU(Rotated):
    """`slope * x * Phi(x)`."""

    function = "gelu"


@register
class RSiLU(Rotated):
    """`slope * x * sigmoid(x)`."""

    function = "swish"
