"""Rotated activations: `y = slope * f(x)`, one learned slope per channel."""

import abc

import keras
import tensorflow as tf
from keras import ops

from rrelu_tf.errors import UserError
from rrelu_tf.initializers import Rotation
from rrelu_tf.layers import slope_gradients
from rrelu_tf.layers.notes import Scaled


class Rotated(keras.layers.Layer, abc.ABC):
    """Base of the rotated activations; use `RReLU`, `RGELU` or `RSiLU`.

    A slope of exactly 0 makes its channel exactly 0, whatever comes in:
    `rrelu_tf.strip` then removes the channel.

    Source: "Rotate the ReLU to Sparsify Deep Networks Implicitly" (Nayak &
    Kalyani, TMLR 2024) and its authors' code, `y[c] = a[c] * max(0, x[c])`.

    Args:
        slope_initializer: how slopes begin; "rotation" is
            `rrelu_tf.initializers.Rotation()`, the paper's.
        slope_regularizer: for instance `keras.regularizers.L1(1e-4)`.
        slope_constraint: a Keras constraint.
        fused: bool, whether in training one kernel may make both gradients
            of the product, and convolutions that read it take the slopes
            (`Conv2D`, `DepthwiseConv2D`); equal up to rounding. A gradient by
            this layer's output itself then lacks what these add, or is None:
            take that with False. Saved only if False.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Input shape:
        `(batch, ..., channels)`, rank 2 or more.

    Output shape:
        The same as the input's.
    """

    def __init__(
        self,
        slope_initializer="rotation",
        slope_regularizer=None,
        slope_constraint=None,
        fused=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if slope_initializer == "rotation":
            slope_initializer = Rotation()
        self.slope_initializer = keras.initializers.get(slope_initializer)
        self.slope_regularizer = keras.regularizers.get(slope_regularizer)
        self.slope_constraint = keras.constraints.get(slope_constraint)
        self.fused = fused
        self.supports_masking = True

    def build(self, input_shape):
        """Makes `slope`, of shape `(channels,)`."""
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise UserError(
                "A rotated activation needs an input of rank 2 or more with a "
                f"known last axis. Received: input_shape={input_shape}"
            )
        self.input_spec = keras.layers.InputSpec(
            min_ndim=2, axes={-1: input_shape[-1]}
        )
        self.slope = self.add_weight(
            shape=(input_shape[-1],),
            name="slope",
            initializer=self.slope_initializer,
            regularizer=self.slope_regularizer,
            constraint=self.slope_constraint,
        )

    @staticmethod
    @abc.abstractmethod
    def function(x):
        """The activation that is rotated, element-wise, with `f(0) = 0`."""

    def call(self, inputs, training=None):
        """`slope * f(inputs)`, per channel of the last axis."""
        features = self.function(ops.cast(inputs, self.compute_dtype))
        if not (training and self.fused):
            return self.slope * features
        # Keras's own conversion may give the variable itself.
        slope = tf.convert_to_tensor(self.slope)
        outputs = slope_gradients.scale(features, slope)
        Scaled(features, slope).attach(outputs)
        return outputs

    def compute_output_shape(self, input_shape):
        """The input's shape."""
        return input_shape

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "slope_initializer": serialize(self.slope_initializer),
            "slope_regularizer": serialize(self.slope_regularizer),
            "slope_constraint": serialize(self.slope_constraint),
            **({} if self.fused else {"fused": False}),
        }


@keras.saving.register_keras_serializable(package="rrelu_tf")
class RReLU(Rotated):
    """Rotated ReLU: `slope * max(x, 0)`.

    Arguments and shapes are those of `Rotated`: `slope_initializer`,
    `slope_regularizer`, `slope_constraint`; input `(batch, ..., channels)`.
    """

    @staticmethod
    def function(x):
        """`max(x, 0)`."""
        return ops.relu(x)


@keras.saving.register_keras_serializable(package="rrelu_tf")
class RGELU(Rotated):
    """Rotated GELU: `slope * x * Phi(x)`, by the exact normal distribution.

    The paper's abstract names it for the MLPs of transformers; its formula is
    the natural one (the authors published no code). Arguments and shapes are
    those of `Rotated`.
    """

    @staticmethod
    def function(x):
        """`x * Phi(x)`."""
        return ops.gelu(x, approximate=False)


@keras.saving.register_keras_serializable(package="rrelu_tf")
class RSiLU(Rotated):
    """Rotated SiLU (swish): `slope * x * sigmoid(x)`.

    The paper's abstract names it for EfficientNet; its formula is the natural
    one (the authors published no code). Arguments and shapes are those of
    `Rotated`.
    """

    @staticmethod
    def function(x):
        """`x * sigmoid(x)`."""
        return ops.silu(x)
