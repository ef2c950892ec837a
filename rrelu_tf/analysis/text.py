"""A rich table as plain text."""

import io

from rich import box
from rich.console import Console


def render(table, width=None):
    """Draws a table with ASCII lines, as wide as its cells need.

    Args:
        table: a `rich.table.Table`; its box is replaced.
        width: int, characters to fit it in; None for no limit.

    Returns:
        Text without styles.
    """
    table.box = box.ASCII2
    buffer = io.StringIO()
    Console(file=buffer, width=width or 1000, no_color=True).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
