"""What every source hands over."""

import dataclasses
from typing import Any

from rrelu_tf.data.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set as found, before it is split and augmented.

    Attributes:
        name: of the data set.
        class_names: list of str, by label.
        image_shape: (height, width, channels) in pixels; height and width are
            None where images differ.
        train: a `MemorySplit` or `StreamSplit`.
        test: the held-out split, of the same kind.
        origin: where it comes from, with the version, for reports.
        recipe: the data set's defaults.
    """

    name: str
    class_names: list[str]
    image_shape: tuple[int | None, int | None, int]
    train: Any
    test: Any
    origin: str
    recipe: Recipe
