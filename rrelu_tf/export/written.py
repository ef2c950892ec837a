"""What an exported file weighs, and how near it comes to its source."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from rrelu_tf.export import examples, served


@dataclasses.dataclass(frozen=True)
class Written:
    """A file, or a folder, that its runtime has loaded and run.

    Attributes:
        format: name of its kind.
        path: `pathlib.Path` of it.
        bytes: its size, of all its parts.
        difference: largest of a logit, of the largest logit of the source.
        agreement: share of the compared images, in [0, 1], that it puts in
            the source's class.
        load: function without arguments, whose result is a function of images
            `(batch, *image_shape)`, 0..255, to logits.
    """

    format: str
    path: pathlib.Path
    bytes: int
    difference: float
    agreement: float
    load: Callable = dataclasses.field(repr=False)


def compared(name, path, size, load, *, logits, expected):
    """The `Written` of a file that gave `logits`, and its source `expected`."""
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    return Written(
        format=name,
        path=path,
        bytes=size,
        difference=float(difference),
        agreement=float(np.mean(logits.argmax(-1) == expected.argmax(-1))),
        load=load,
    )


def saved_model(path, model, preprocessing, representative=None):
    """The `Written` of a folder of `rrelu_tf.export.saved_model.write`.

    Args:
        path: the folder.
        model: its source.
        preprocessing: the `rrelu_tf.data.Preprocessing` of both.
        representative: images to compare on, `(n, *image_shape)` of 0..255;
            None for random ones.

    Raises:
        UserError: as `portable.write` does for the images.
    """

    def load():
        loaded = served.load(path, raw=False)

        def classify(images):
            images = preprocessing.normalize(images)
            return loaded.signature(images=images)["logits"].numpy()

        return classify

    images = examples.images(representative, preprocessing.image_shape)
    files = [file for file in path.rglob("*") if file.is_file()]
    return compared(
        *("saved_model", path, sum(file.stat().st_size for file in files)),
        load,
        logits=load()(images),
        expected=examples.logits(model, preprocessing, images),
    )
