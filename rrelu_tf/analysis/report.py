"""Before => after: what pruning changed, on the terminal and in files."""

import dataclasses
import json
import pathlib

from rich.console import Console
from rich.table import Table

from rrelu_tf import atomic
from rrelu_tf.analysis import rounds_table
from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Measurements:
    """One model's figures; None where something was not measured.

    Attributes:
        accuracy: share of test images classified correctly, in [0, 1].
        parameters: all weights of the model.
        weights: convolution and linear weights, without biases.
        flops: 2 x multiply-accumulates of the same layers, one example.
        cpu_ms: CPU time of one batch, in milliseconds.
        wall_ms: wall clock of the same.
        file_bytes: size of the saved model.
    """

    accuracy: float | None = None
    parameters: int | None = None
    weights: int | None = None
    flops: int | None = None
    cpu_ms: float | None = None
    wall_ms: float | None = None
    file_bytes: int | None = None


def measurements(profile, *, accuracy=None, latency=None, file=None):
    """Gathers a model's figures.

    Args:
        profile: its `Profile`.
        accuracy: float in [0, 1].
        latency: its `Latency`.
        file: path of the saved model, a file or a folder.

    Returns:
        `Measurements`.
    """
    return Measurements(
        accuracy=accuracy,
        parameters=profile.params,
        weights=profile.weights,
        flops=profile.flops,
        cpu_ms=latency and latency.cpu_ms,
        wall_ms=latency and latency.wall_ms,
        file_bytes=None if file is None else file_bytes(file),
    )


def file_bytes(path):
    """Bytes of a file, or of all files in a folder."""
    path = pathlib.Path(path)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@dataclasses.dataclass(frozen=True)
class Report:
    """Two models side by side.

    Attributes:
        title: one line.
        before: `Measurements`.
        after: `Measurements`.
        notes: dict of plain values that belong to it (zeta, data set, ...).
        rounds: list of dicts, one for each round of pruning, as
            `rounds_table.cells` takes them; empty for pruning at once.
    """

    title: str
    before: Measurements
    after: Measurements
    notes: dict = dataclasses.field(default_factory=dict)
    rounds: list = dataclasses.field(default_factory=list)

    def rows(self):
        """Lists of (quantity, before, after, change), as text."""
        rows = []
        for name, (label, show) in _QUANTITIES.items():
            old, new = getattr(self.before, name), getattr(self.after, name)
            if old is None and new is None:
                continue
            shown = ["" if v is None else show(v) for v in (old, new)]
            rows.append([label, *shown, _change(name, old, new)])
        return rows

    def print(self, console=None):
        """Prints the table to a `rich.console.Console`, stdout by default."""
        table = Table("", title=self.title, title_justify="left")
        table.add_column("before", justify="right")
        table.add_column("after", justify="right", style="bold")
        table.add_column("change", justify="right", style="green")
        for row in self.rows():
            table.add_row(*row)
        console = console or Console()
        console.print(table)
        if self.rounds:
            rounds_table.show(self.rounds, console)

    def markdown(self):
        """The table and the notes as Markdown."""
        rows = [
            ["", "before", "after", "change"],
            ["---", "---:", "---:", "---:"],
            *self.rows(),
        ]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        if self.rounds:
            table += f"\n\n{rounds_table.markdown(self.rounds)}"
        notes = "".join(f"- {k}: {v}\n" for k, v in self.notes.items())
        return f"# {self.title}\n\n{table}\n" + (notes and f"\n{notes}")

    def json(self):
        """Everything, unrounded, as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def write(self, folder):
        """Writes `report.md` and `report.json`, each atomically.

        Raises:
            UserError: if they cannot be written.
        """
        folder = pathlib.Path(folder)
        atomic.write_text(folder / "report.json", self.json())
        atomic.write_text(folder / "report.md", self.markdown())


def read(folder):
    """The `Report` whose `report.json` lies in a folder.

    Raises:
        UserError: if there is none that can be read.
    """
    file = pathlib.Path(folder) / "report.json"
    try:
        plain = json.loads(file.read_text())
        before, after = (
            Measurements(**plain.pop(side)) for side in ("before", "after")
        )
        return Report(before=before, after=after, **plain)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "A report must be a readable report.json of before and after. "
            f"Received: report={file}"
        ) from error


def before_after(before, after, *, title="Before and after", **notes):
    """A `Report` of two `Measurements`; `notes` are its plain notes."""
    return Report(title, before, after, notes)


def _change(name, old, new):
    if old is None or new is None:
        return ""
    if name == "accuracy":
        return f"{100 * (new - old):+.2f} points"
    return f"{100 * (new - old) / old:+.2f} %" if old else ""


def _percent(value):
    return f"{100 * value:.2f} %"


def _count(value):
    return f"{value:,}"


def _milliseconds(value):
    return f"{value:,.3f} ms"


# Sizes as `ls -l` has them, so that they can be checked.
def _bytes(value):
    return f"{value:,} bytes"


_QUANTITIES = {
    "accuracy": ("test accuracy", _percent),
    "parameters": ("parameters", _count),
    "weights": ("conv and linear weights", _count),
    "flops": ("FLOPs per image", _count),
    "cpu_ms": ("CPU time per batch", _milliseconds),
    "wall_ms": ("wall clock per batch", _milliseconds),
    "file_bytes": ("file size", _bytes),
}
