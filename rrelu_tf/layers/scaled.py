"""Notes on tensors: how they were made, for the layers that read them."""

import dataclasses
from typing import Any

_KEY = "_rrelu_tf_scaled"


@dataclasses.dataclass(frozen=True)
class Scaled:
    """A tensor was made as `slope * features`.

    Attributes:
        features: `(batch, ..., channels)`.
        slope: `(channels,)`, of the same dtype.
    """

    features: Any
    slope: Any

    def attach(self, product):
        """Has `product` tell whoever reads it how it was made."""
        setattr(product, _KEY, self)

    @staticmethod
    def of(tensor):
        """A tensor's `Scaled`; None if it has none."""
        return getattr(tensor, _KEY, None)
