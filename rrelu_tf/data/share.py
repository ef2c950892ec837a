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


def check_batches(count, batch_size, **sizes):
    """Refuses batches that leave one of several replicas without an example.

    TensorFlow gives each of R replicas `ceil(n / R)` of a batch's n examples
    until they are used up. The last replicas may get none, and convolutions
    and batch normalisation of no examples fail or turn NaN. And Keras, which
    looks at the first batch before it trains or evaluates, adds up what the
    replicas got of it: their shares of that one must be equal. What passes
    here is right for `Share.rows`, too.

    Args:
        count: int, replicas.
        batch_size: int, examples in a batch, of all replicas together.
        **sizes: number of examples by the name of their split; the last batch
            of each is what is left over.

    Raises:
        UserError: if a replica would get no example of some batch, or less of
            the first than another.
    """
    for name, size in sizes.items():
        first = min(batch_size, size)
        if first % count:
            raise UserError(
                f"The first batch must divide evenly among {count} "
                f"replicas, and that of the {size} examples of {name} has "
                f"{first}. Received: batch_size={batch_size}"
            )
        for batch in {first, size % batch_size} - {0}:
            if -(-batch // count) * (count - 1) >= batch:
                raise UserError(
                    f"Each of {count} replicas needs an example of every "
                    f"batch, but the {size} examples of {name} have a batch "
                    f"of {batch}. Received: batch_size={batch_size}"
                )


WHOLE = Share()
