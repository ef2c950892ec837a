"""How long commands and the library take until they are there.

    python benchmarks/start_up.py

Each is a process of its own, partners by turns: `bin/train --help` beside
Python alone; `import rrelu_tf`, and the use of its every name, beside the
import of TensorFlow with Keras alone. CPU time (user + system), wall-clock
beside it, medians of `--rounds` after one that fills caches; a ratio is the
median of the rounds' ratios.
Writes `benchmarks/results/start_up.csv`.
"""

import argparse
import csv
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
PATH = pathlib.Path(__file__).parent / "results" / "start_up.csv"
# A module of the library is loaded when a name of it is first used.
_EVERY = (
    "import tensorflow, keras, rrelu_tf; "
    "[getattr(rrelu_tf, name) for name in dir(rrelu_tf)]"
)
# Name -> (ours, partner, most seconds, at most so many times the partner's).
FIGURES = {
    "bin/train --help / Python alone": (
        ["bin/train", "--help"],
        ["-c", ""],
        1.0,
        "",
    ),
    "import rrelu_tf / import tensorflow, keras": (
        ["-c", "import tensorflow, keras, rrelu_tf"],
        ["-c", "import tensorflow, keras"],
        "",
        1.1,
    ),
    "rrelu_tf's every name / import tensorflow, keras": (
        ["-c", _EVERY],
        ["-c", "import tensorflow, keras"],
        "",
        1.1,
    ),
}


def seconds(arguments):
    """(CPU, wall-clock) seconds of a run of Python."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.time() - start


def row(name, rounds):
    """The table's row of a figure."""
    ours, partner, most, times = FIGURES[name]
    found = []
    for number in range(rounds + 1):
        pair = (ours, partner) if number % 2 else (partner, ours)
        both = [seconds(arguments) for arguments in pair]
        found.append(both if number % 2 else both[::-1])
    found = found[1:]

    def median(value):
        return f"{statistics.median(map(value, found)):.3f}"

    return {
        "figure": name,
        "cpu_s": median(lambda both: both[0][0]),
        "partner_cpu_s": median(lambda both: both[1][0]),
        "ratio": median(lambda both: both[0][0] / both[1][0]),
        "wall_s": median(lambda both: both[0][1]),
        "partner_wall_s": median(lambda both: both[1][1]),
        "most_s": most,
        "at_most": times,
    }


def main():
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    rows = []
    for name in FIGURES:
        rows.append(row(name, given.rounds))
        print(rows[-1], flush=True)
    with open(PATH, "w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
