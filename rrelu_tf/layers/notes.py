"""Notes on tensors: how they were made, for the layers that read them.

A layer that takes what a tensor was made of does not need the tensor, and a
`tf.function` does not make what nobody needs.
"""

import dataclasses
from typing import Any


class _Note:
    def attach(self, tensor):
        """Has a tensor tell whoever reads it how it was made."""
        setattr(tensor, self._key(), self)

    @classmethod
    def of(cls, tensor):
        """A tensor's note of this class; None if it has none."""
        return getattr(tensor, cls._key(), None)

    @classmethod
    def _key(cls):
        return f"_rrelu_tf_{cls.__name__.lower()}"


@dataclasses.dataclass(frozen=True)
class Scaled(_Note):
    """Made as `slope * features`.

    Attributes:
        features: `(batch, ..., channels)`.
        slope: `(channels,)`, of the same dtype.
    """

    features: Any
    slope: Any


@dataclasses.dataclass(frozen=True)
class Padded(_Note):
    """Made by zeros around images.

    Attributes:
        images: `(batch, height, width, channels)`.
        paddings: as of `tf.pad`, four pairs of ints.
    """

    images: Any
    paddings: tuple
