"""The parts of a data set as batches to evaluate on."""

import dataclasses

import numpy as np
import tensorflow as tf

from rrelu_tf.data import Preprocessing
from rrelu_tf.errors import UserError

SPLITS = ("test", "validation", "train")


class _Raw(Preprocessing):
    """No preprocessing at all: for models that hold their own."""

    def apply(self, images):
        """The images as they are, uint8."""
        return images


class _Fitted(Preprocessing):
    """Resized and cut, but not normalised."""

    def apply(self, images):
        """Float32 images of `image_shape`, values 0..255."""
        return tf.cast(self.fit(images), tf.float32)


def pixels(data, most):
    """Training images as an array, unaugmented, evenly spaced.

    Args:
        data: a `rrelu_tf.data.Data`.
        most: int, how many at most.

    Returns:
        float32 `(n, *image_shape)`, values 0..255.
    """
    options = dataclasses.asdict(data.preprocessing)
    data = dataclasses.replace(data, preprocessing=_Fitted(**options))
    taken = data.unaugmented(most).as_numpy_iterator()
    return np.concatenate([images for images, _ in taken])


def batches(data, split, *, raw=False):
    """Finite batches of (images, labels) in fixed order, unaugmented.

    Args:
        data: a `rrelu_tf.data.Data`.
        split: "test", "validation" or "train".
        raw: uint8 images, instead of normalised float32 ones; not for data
            whose images are resized.

    Returns:
        A `tf.data.Dataset`.

    Raises:
        UserError: for validation where none was held out.
    """
    if raw:
        options = dataclasses.asdict(data.preprocessing)
        data = dataclasses.replace(data, preprocessing=_Raw(**options))
    if split == "test":
        return data.test
    if split == "train":
        # What evaluation does to images held out, done to the others.
        data = dataclasses.replace(
            data, validation_positions=data.training_positions
        )
    if data.validation is None:
        raise UserError(
            f"The data must have a validation part. Received: split={split}"
        )
    return data.validation
