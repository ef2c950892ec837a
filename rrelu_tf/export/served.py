"""Reads a SavedModel back as a classifier."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from rrelu_tf.errors import UserError

_SMALLEST = np.finfo(np.float32).tiny


@dataclasses.dataclass(frozen=True)
class Served:
    """A classifier in a SavedModel.

    Attributes:
        path: folder with `saved_model.pb`.
        raw: whether it takes uint8 images (`serving_default`), rather than
            normalised float32 ones (`normalized`).
        signature: the loaded function.
        loaded: the loaded object, which owns the variables.
    """

    path: pathlib.Path
    raw: bool
    signature: Any
    loaded: Any

    def classify(self, images):
        """Log-probabilities `(batch, classes)` of images `(batch, ...)`."""
        outputs = self.signature(images=images)
        if "logits" in outputs:
            return tf.nn.log_softmax(outputs["logits"])
        # A probability that underflowed to 0 costs 87 nats, not infinity.
        return tf.math.log(tf.maximum(outputs["probabilities"], _SMALLEST))

    def check(self, image_shape, class_count):
        """Raises `UserError` unless it takes such images and classes."""
        taken = self._images.shape[1:]
        if not taken.is_compatible_with(image_shape):
            raise UserError(
                f"The SavedModel takes images of shape {taken}; the data's "
                f"have another. Received: image_shape={tuple(image_shape)}"
            )
        given = self.signature.structured_outputs["probabilities"].shape[-1]
        if given not in (None, class_count):
            raise UserError(
                f"The SavedModel tells {given} classes apart; the data have "
                f"another number. Received: classes={class_count}"
            )

    @property
    def _images(self):
        return self.signature.structured_input_signature[1]["images"]


def find(path):
    """The folder with `saved_model.pb`: `path`, or its newest version.

    Returns:
        `pathlib.Path`, or None where there is none.
    """
    path = pathlib.Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    versions = [
        file.parent
        for file in path.glob("*/saved_model.pb")
        if file.parent.name.isdecimal()
    ]
    return max(versions, key=lambda folder: int(folder.name), default=None)


def load(path, *, raw):
    """Loads a SavedModel that `saved_model.write` (or its like) wrote.

    Args:
        path: folder with `saved_model.pb`.
        raw: whether raw uint8 images are at hand: `serving_default` is taken
            if it takes them, else `normalized`.

    Returns:
        A `Served`.

    Raises:
        UserError: if it is broken, or has no fitting signature.
    """
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError, DecodeError) as error:
        raise UserError(
            "A SavedModel must be whole and readable. "
            f"Received: saved_model={path}"
        ) from error
    wanted = [("normalized", tf.float32)]
    if raw:
        wanted.insert(0, ("serving_default", tf.uint8))
    for name, dtype in wanted:
        signature = loaded.signatures.get(name)
        if signature is not None and _fits(signature, dtype):
            return Served(
                pathlib.Path(path), dtype == tf.uint8, signature, loaded
            )
    raise UserError(
        "A SavedModel must have a signature serving_default (uint8) or "
        "normalized (float32), of `images` to `probabilities`. "
        f"Received: signatures={sorted(loaded.signatures)}"
    )


def _fits(signature, dtype):
    inputs = signature.structured_input_signature[1]
    return (
        list(inputs) == ["images"]
        and inputs["images"].dtype == dtype
        and "probabilities" in signature.structured_outputs
    )
