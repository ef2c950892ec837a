"""The net that pruning in rounds begins with."""

import dataclasses
import hashlib

import keras
import numpy as np

from rrelu_tf.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Base:
    """A trained net, and what is known of it.

    Attributes:
        model: the `keras.Model`; it returns logits.
        recipe: the `Recipe` that trained it, or by which it is retrained.
        origin: dict as of `training.origin.of`, {} where nothing is known.
        notes: dict of plain values for the report.
    """

    model: keras.Model
    recipe: Recipe
    origin: dict
    notes: dict

    @property
    def fingerprint(self):
        """SHA-256 of the weights, in hexadecimal."""
        digest = hashlib.sha256()
        for variable in self.model.weights:
            digest.update(np.ascontiguousarray(variable).tobytes())
        return digest.hexdigest()
