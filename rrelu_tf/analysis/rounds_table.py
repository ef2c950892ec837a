"""Pruning in rounds: what each left and what that did to the accuracy."""

from rich import box
from rich.console import Console
from rich.table import Table

HEADINGS = (
    *("round", "channels", "parameters", "FLOPs"),
    *("before", "at once", "retrained", "epochs"),
)
TITLE = "Rounds; test accuracy before, at once after, and after retraining"
_WIDTH = 100


def cells(rounds):
    """Lists of text, one a round, under `HEADINGS`.

    Args:
        rounds: list of dicts with `number`; `channels_before` and `channels`,
            of those that have scores; `before` and `after`, each a dict of
            `parameters` and `flops`; `accuracy_before`, `accuracy_at_once` and
            `accuracy_after`, in [0, 1] or None; `epochs`, of retraining.
    """
    found = []
    for one in rounds:
        after = one["after"]
        found.append(
            [
                str(one["number"]),
                f"{one['channels_before']:,} => {one['channels']:,}",
                f"{after['parameters']:,}",
                f"{after['flops']:,}",
                _percent(one["accuracy_before"]),
                _percent(one["accuracy_at_once"]),
                _percent(one["accuracy_after"]),
                str(one["epochs"]),
            ]
        )
    return found


def show(rounds, console=None):
    """Prints the same to a `rich.console.Console`, stdout by default."""
    table = Table(title=TITLE, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for row in cells(rounds):
        table.add_row(*row)
    console = console or Console()
    if not console.is_terminal:  # whose width it takes for 80
        console = Console(file=console.file, width=_WIDTH)
    console.print(table)


def markdown(rounds):
    """The same as a table in Markdown."""
    rows = [HEADINGS, ["---:"] * len(HEADINGS), *cells(rounds)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{TITLE}:\n\n{table}\n"


def _percent(value):
    return "" if value is None else f"{100 * value:.2f} %"
