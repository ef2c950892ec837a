"""`metrics.csv`: one row per epoch, written from the run's history."""

import csv
import io

from rrelu_tf import atomic

COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
    "cpu_seconds",
    "slopes_alive",
)


def write(path, history):
    """Replaces the table at `path` by the rows of `history`.

    Floats are written by `repr`, so that they read back bit for bit; what was
    not measured (no validation data) is an empty cell. `seconds` and
    `cpu_seconds` are the only columns that differ between equal runs.

    Raises:
        UserError: if the file cannot be written; the old one is kept.
    """
    text = io.StringIO()
    writer = csv.DictWriter(
        text, COLUMNS, lineterminator="\n", extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(history)
    atomic.write_text(path, text.getvalue())
