"""The look that all plots share, and how they reach the disk."""

import contextlib
import io

from matplotlib import rc_context
from matplotlib.figure import Figure

from rrelu_tf import atomic

# Before and after are the same two colours in every plot.
BEFORE = "#b8c4d0"
AFTER = "#1b6ca8"
REMOVED = "#d1603d"
ACCENT = "#2a2f36"

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a929b",
    "axes.labelcolor": ACCENT,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e6e9ec",
    "xtick.color": "#5a626b",
    "ytick.color": "#5a626b",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@contextlib.contextmanager
def saved(path, *, size=(8, 4.5), rows=1, columns=1, **layout):
    """Axes to draw on, written to a PNG file on leaving.

    Nothing is written where drawing raises. No display is needed, and no
    state of pyplot is touched.

    Args:
        path: PNG file, whose folder exists.
        size: (width, height) in inches, at 150 dots per inch.
        rows: int, of axes.
        columns: int, of axes.
        **layout: further arguments of `Figure.subplots`.

    Yields:
        One `Axes`, or an array of them as `Figure.subplots` gives it.

    Raises:
        UserError: if the file cannot be written.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        yield figure.subplots(rows, columns, **layout)
        content = io.BytesIO()
        figure.savefig(content, format="png")
    atomic.write_bytes(path, content.getvalue())


def kept_and_removed(axes, values, dead, edges):
    """Draws a stacked histogram, what is removed in another colour.

    Args:
        axes: where to draw.
        values: float array.
        dead: bool array, True where a value is removed.
        edges: of the bins, or their number.
    """
    axes.hist(
        [values[~dead], values[dead]],
        edges,
        stacked=True,
        color=[AFTER, REMOVED],
        label=[f"{(~dead).sum():,} kept", f"{dead.sum():,} removed"],
    )
