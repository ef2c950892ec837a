"""A model as a function of pixels in [0, 1], where attacks have a meaning."""

import dataclasses

import tensorflow as tf

from rrelu_tf.data import Preprocessing


class _Scaled(Preprocessing):
    """A preprocessing that only scales: pixels in [0, 1], not normalised."""

    def apply(self, images):
        """uint8 images to float32 `(batch, *image_shape)` in [0, 1]."""
        return tf.cast(self.fit(images), tf.float32) / 255


def only_scaled(preprocessing):
    """The same `Preprocessing` without its normalisation."""
    return _Scaled(**dataclasses.asdict(preprocessing))


def of_normalized(model):
    """A `keras.Model` as a function of its own input to float32 logits."""

    def logits(images):
        return tf.cast(model(images, training=False), tf.float32)

    return logits


def of_pixels(model, preprocessing):
    """A model with its normalisation before it.

    Args:
        model: a `keras.Model` of normalised images that gives logits.
        preprocessing: the `Preprocessing` it was trained with.

    Returns:
        Function of float32 images `(batch, *image_shape)` with pixels in
        [0, 1] to float32 logits `(batch, classes)`.
    """
    own = of_normalized(model)

    def logits(images):
        return own(preprocessing.normalize(255 * images))

    return logits
