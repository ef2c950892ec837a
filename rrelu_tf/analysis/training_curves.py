"""The course of a training run, drawn from its `metrics.csv`."""

import csv
import math
import pathlib

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rrelu_tf.analysis import figure
from rrelu_tf.errors import UserError

# Title, and the columns that it shows with their labels.
_PANELS = (
    ("Loss", {"loss": "train", "val_loss": "validation"}),
    ("Accuracy", {"accuracy": "train", "val_accuracy": "validation"}),
    ("Learning rate", {"learning_rate": "learning rate"}),
    ("Slopes alive", {"slopes_alive": "slopes alive"}),
)


def training_curves(table, path):
    """Loss, accuracy, learning rate and slopes alive over the epochs.

    Args:
        table: a run's `metrics.csv`; empty cells were not measured.
        path: PNG file.

    Raises:
        UserError: if the table is missing, empty or broken, or the file
            cannot be written.
    """
    columns = _read(pathlib.Path(table))
    panels = []
    for title, labels in _PANELS:
        drawn = {
            label: columns[name]
            for name, label in labels.items()
            if np.nan_to_num(columns.get(name, [])).any()
        }
        if drawn:
            panels.append((title, drawn))
    rows = math.ceil(len(panels) / 2) or 1
    with figure.saved(
        path, size=(10, 3.2 * rows), rows=rows, columns=2, squeeze=False
    ) as grid:
        for axes, (title, drawn) in zip(grid.flat, panels, strict=False):
            _draw(axes, title, columns["epoch"], drawn)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)


def _draw(axes, title, epochs, drawn):
    colours = (figure.AFTER, figure.REMOVED)
    for (label, values), colour in zip(drawn.items(), colours, strict=False):
        # A single epoch is a point: a line would show nothing.
        marker = "o" if len(epochs) < 30 else None
        axes.plot(
            epochs, values, color=colour, marker=marker, ms=3, label=label
        )
    if len(drawn) > 1:
        axes.legend(loc="best")
    if title == "Accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        best = drawn.get("validation")
        if best is not None:
            epoch = int(epochs[np.nanargmax(best)])
            title += f": best {np.nanmax(best):.2%}, epoch {epoch}"
    if title == "Slopes alive":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_locator(
        MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
    )
    axes.set_title(title)
    axes.set_xlabel("epoch")


def _read(table):
    """Column name -> float array, NaN where a cell is empty."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, restval=""))
        columns = {
            name: np.array([float(row[name] or "nan") for row in rows])
            for name in (rows[0] if rows else {})
        }
        columns["epoch"].astype(int)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(
            "The table of a run's epochs must be a readable CSV file with at "
            f"least one row and a column `epoch`. Received: table={table}"
        ) from error
    return columns
