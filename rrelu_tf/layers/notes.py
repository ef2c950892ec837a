"""Notes on tensors: how they were made, for the layers that read them."""

import dataclasses
from typing import Any


class Note:
    """What a tensor can be asked for while a training step is traced."""

    def attach(self, outputs):
        """Has `outputs` tell whoever reads them how they were made."""
        setattr(outputs, self._key(), self)

    @classmethod
    def of(cls, tensor):
        """A tensor's note of this class; None if it has none."""
        return getattr(tensor, cls._key(), None)

    @classmethod
    def _key(cls):
        return f"_rrelu_tf_{cls.__name__.lower()}"


@dataclasses.dataclass(frozen=True)
class Normalized(Note):
    """Made as `gamma * x_hat + beta`, a batch at a time.

    Attributes:
        x: what was normalised, `(batch, height, width, channels)`.
        gamma: `(channels,)`, float32.
        beta: `(channels,)`, float32.
        reserves: what `FusedBatchNormV3` keeps for its gradient, three tensors.
        epsilon: float.
    """

    x: Any
    gamma: Any
    beta: Any
    reserves: tuple
    epsilon: float


@dataclasses.dataclass(frozen=True)
class Scaled(Note):
    """Made as `slope * features`.

    Attributes:
        features: `(batch, ..., channels)`.
        slope: `(channels,)`, of the same dtype.
    """

    features: Any
    slope: Any
