"""Exported files side by side: size, difference, latency."""

import dataclasses

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from rrelu_tf.analysis import latency

_COLUMNS = (
    *("format", "bytes", "largest difference", "same class"),
    *("CPU ms, batch of 1", "batch of 32"),
)
_REPEATS = 15


@dataclasses.dataclass(frozen=True)
class ExportTable:
    """The rows: the source in Keras first, then a file each.

    Attributes:
        rows: list of tuples of str, as the columns.
    """

    rows: list

    def print(self, console=None):
        """Prints it to a `rich.console.Console`, stdout by default."""
        table = Table()
        for number, name in enumerate(_COLUMNS):
            justify = "right" if number else "left"
            table.add_column(name, justify=justify, no_wrap=not number)
        for row in self.rows:
            table.add_row(*row)
        (console or Console()).print(table)

    def markdown(self):
        """The same as a Markdown table."""
        lines = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 1)), *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def measure(model, files, preprocessing):
    """Measures the files, and the model that they came from.

    Args:
        model: the source, a `keras.Model` of normalised images.
        files: list of `rrelu_tf.export.written.Written`.
        preprocessing: the `rrelu_tf.data.Preprocessing` of them all.

    Returns:
        An `ExportTable`; its latencies are medians of CPU time (user and
        system, all threads), normalisation included.
    """
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (32, *preprocessing.image_shape))
    pixels = pixels.astype(np.float32)

    @tf.function(autograph=False)
    def source(images):
        return model(preprocessing.normalize(images), training=False)

    rows = [("Keras, the source", "", "", "", *_times(source, pixels))]
    for file in files:
        run = file.load()
        times = _times(lambda images, run=run: run(images.numpy()), pixels)
        rows.append(
            (
                file.format,
                f"{file.bytes:,}",
                f"{file.difference:.1e}",
                f"{100 * file.agreement:.1f} %",
                *times,
            )
        )
    return ExportTable(rows)


def _times(call, images):
    """CPU time of one image, and of all, as text."""
    return [
        f"{latency.measure(call, batch, repeats=_REPEATS).cpu_ms:.2f}"
        for batch in (images[:1], images)
    ]
