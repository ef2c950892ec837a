"""A small trained classifier of pixels, and images to attack."""

import keras
import pytest
import tensorflow as tf

from rrelu_tf import data
from rrelu_tf.attacks import of_pixels, sampling
from rrelu_tf.attacks.pixels import only_scaled


@pytest.fixture(scope="package")
def digits():
    return data.load("digits", normalization="standard", augmentation="none")


@pytest.fixture(scope="package")
def model(digits):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(digits.image_shape)
    x = keras.layers.Conv2D(8, 3, activation="relu")(inputs)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(digits.train(epochs=3), shuffle=False, verbose=0)
    return model


@pytest.fixture(scope="package")
def logits(model, digits):
    return of_pixels(model, digits.preprocessing)


@pytest.fixture(scope="package")
def batches(digits):
    scaled = only_scaled(digits.preprocessing)
    return sampling.batches(digits, 150, preprocessing=scaled)


@pytest.fixture(scope="package")
def batch(batches):
    return next(iter(batches))


@pytest.fixture(scope="package")
def right(logits):
    """Function of (images, labels): how many are classified correctly."""

    def count(images, labels):
        found = tf.argmax(logits(images), -1, tf.int32)
        return int(tf.reduce_sum(tf.cast(found == labels, tf.int32)))

    return count
