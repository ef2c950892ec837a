"""A CSV file of runs that differ by their seeds, and its means."""

import csv
import pathlib
import statistics

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


class Table:
    """A CSV file that rows are added to."""

    def __init__(self, name):
        self.path = RESULTS / name
        self.rows = []
        if self.path.exists():
            with self.path.open() as file:
                self.rows = list(csv.DictReader(file))

    def has(self, **values):
        """Whether a row with these values is there."""
        wanted = {name: str(value) for name, value in values.items()}
        return any(wanted.items() <= row.items() for row in self.rows)

    def add(self, rows):
        """Adds rows, all or none, and prints them."""
        new = [{k: str(v) for k, v in row.items()} for row in rows]
        self.rows += new
        written = self.path.with_suffix(".new")
        with written.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        written.rename(self.path)
        for row in new:
            print(row, flush=True)

    def show(self, *keys):
        """Prints a Markdown table: means over the seeds, sample deviations."""
        columns = [x for x in self.rows[0] if x not in (*keys, "seed")]
        print("|", " | ".join((*keys, *columns)), "|")
        print(
            "|", " | ".join(["---"] * len(keys) + ["---:"] * len(columns)), "|"
        )
        groups = {}
        for row in self.rows:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        for group, rows in groups.items():
            cells = [_cell([row[x] for row in rows]) for x in columns]
            print("|", " | ".join((*group, *cells)), "|")


def _cell(texts):
    """Mean and deviation of numbers; nothing where there are none."""
    numbers = [float(text) for text in texts if text]
    if not numbers:
        return ""
    mean, largest = statistics.mean(numbers), max(map(abs, numbers))
    spread = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    digits = sum(largest < limit for limit in (10, 1000))
    return f"{mean:,.{digits}f} ± {spread:,.{digits}f}"
