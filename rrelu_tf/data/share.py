"""Which examples of each batch one of several replicas takes."""

import dataclasses

import numpy as np

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Share:
    """One of `count` equal parts.

    All shares together are the whole, none overlaps another, and sizes differ
    by at most one example.

    Attributes:
        index: int, from 0.
        count: int, at least 1.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self):
        if not 0 <= self.index < self.count:
            raise UserError(
                f"A share's index must be from 0 to count - 1. "
                f"Received: index={self.index}, count={self.count}"
            )

    def of(self, size):
        """The `slice` of `size` things that is this share."""
        return slice(
            size * self.index // self.count,
            size * (self.index + 1) // self.count,
        )

    def rows(self, size, batch_size):
        """This share of every batch, one after the other.

        Args:
            size: int, examples in all.
            batch_size: int, examples in a batch of all shares together.

        Returns:
            list of int64 arrays, one a batch: places, from 0 to size - 1.
        """
        places = np.arange(size)
        return [
            places[start : start + batch_size][
                self.of(min(batch_size, size - start))
            ]
            for start in range(0, size, batch_size)
        ]


WHOLE = Share()
