"""A small network of every layer; slow sums."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers


@pytest.fixture
def dtype():
    """Of `zoo`; a test's own parameter takes this one's place."""
    return "float64"


@pytest.fixture
def zoo(dtype):
    """A model with every kind of layer that has filters."""
    keras.config.set_dtype_policy(dtype)
    image = keras.Input((6, 6, 4))
    shared = layers.Conv2D(
        4, 3, padding="same", activation="tanh", name="twice"
    )
    x = shared(shared(image))
    x = layers.Conv2D(8, 3, groups=2, padding="same", name="grouped")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(
        3, depth_multiplier=2, activation="elu", name="depthwise"
    )(x)
    x = layers.SeparableConv2D(6, 3, activation="relu", name="separable")(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, name="transposed")(x)
    x = _inner(x.shape[1:])(x)
    x = layers.Reshape((-1, 4))(x)
    x = layers.EinsumDense(
        "abc,dc->abd", (16, 6), bias_axes="d", activation="tanh", name="einsum"
    )(x)
    x = layers.Dense(5, activation="gelu", name="tokens")(x)
    x = layers.Conv1D(4, 3, padding="causal", name="causal")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(7, activation="relu", name="hidden")(x)
    x = layers.Dense(3, activation="softmax", name="output")(x)
    return draw(keras.Model(image, x, name="zoo"))


def _inner(shape):
    image = keras.Input(shape)
    x = layers.Conv2D(4, 2, use_bias=False, name="conv")(image)
    x = layers.BatchNormalization(center=False, name="norm")(x)
    return keras.Model(image, layers.ReLU()(x), name="inner")


def draw(model):
    """Gives a model weights that make every term count."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith("moving_variance"):
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        else:
            variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


# Axes of the channels, where they are not the kernel's last one.
_AXES = {"depthwise": (2, 3), "transposed": (2,), "einsum": (0,)}


class Slow:
    """A model's gradients one example and one function at a time."""

    def __init__(self, model, keys):
        """Takes the layers that `keys` name."""
        self.model = model
        self.weights = {}
        for key in keys:
            layer = model
            for name in key.split("/"):
                layer = layer.get_layer(name)
            kernel = getattr(layer, "pointwise_kernel", None)
            kernel = layer.kernel if kernel is None else kernel
            bias = [] if layer.bias is None else [layer.bias]
            self.weights[key] = [kernel, *bias]

    def logs(self, images):
        """Log-probabilities, (images, classes)."""
        return tf.math.log(self.model(images, training=False))

    def gradients(self, function):
        """key -> list of (weights, their gradients), arrays."""
        with tf.GradientTape(persistent=True) as tape:
            value = function()
        return {
            key: [
                (weight.numpy(), tape.gradient(value, weight.value).numpy())
                for weight in weights
            ]
            for key, weights in self.weights.items()
        }

    @staticmethod
    def by_filter(key, values):
        """Sums over the entries of each filter, or each bias."""
        axes = _AXES.get(key, (values.ndim - 1,)) if values.ndim > 1 else (0,)
        rest = tuple(set(range(values.ndim)) - set(axes))
        return values.sum(axis=rest).ravel()


@pytest.fixture
def slow():
    """The class `Slow`."""
    return Slow
