"""The README's tables of what is fast and what is not, of the results.

    python benchmarks/table_of_speed.py

Reads `benchmarks/results/*.csv`, which the scripts named there wrote.
"""

import csv
import statistics

from table_of_seeds import RESULTS

SPEED = ("figure", "ours", "partner", "ratio", "mark", "command")
BESIDE = (
    *("model", "handled", "difference", "coupled there", "gathers here"),
    *("CPU s", "clone_model", "memory, MiB"),
)
SERVED = ("net", "channels gone", "FLOPs", "left")
RUNTIMES = ("SavedModel", "LiteRT", "Keras predict")


def read(name):
    """The rows of a result, as dicts."""
    with open(RESULTS / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def show(columns, rows):
    """Prints a Markdown table."""
    print("|", " | ".join(columns), "|")
    print("|", " | ".join(["---"] * len(columns)), "|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print()


def training():
    """Rows: training steps."""
    for row in read("training_step"):
        unit = row["unit"].replace("CPU ms/image", "ms").replace("peak ", "")
        ours, partner = (f"{row[x]} {unit}" for x in ("ours", "partner"))
        mark = f"<= {float(row['at_most']):.2f}" if row["at_most"] else ""
        ratio = f"{float(row['ratio']):.2f}"
        figure = f"{row['net']}: {row['figure']}"
        yield figure, ours, partner, ratio, mark, "training_step"


def orthoreg():
    """Rows: what OrthoReg adds to a step."""
    rows = read("orthoreg_step")
    for without, given in zip(rows[::2], rows[1::2], strict=True):
        seconds = [f"{row['step_cpu_s']} s" for row in (given, without)]
        ratio = f"{float(given['over_without']):.2f}"
        ours = given["framework"] == "rrelu_tf"
        where = "" if ours else ", the authors' way in PyTorch"
        figure = f"{given['net']}: step with OrthoReg / without{where}"
        mark = "<= 1.15" if ours else ""
        yield figure, *seconds, ratio, mark, "orthoreg_step"


def scores():
    """Rows: scores by gradients."""
    for row in read("scores"):
        rates = [f"{row[x]}/s" for x in ("ours_per_s", "partner_per_s")]
        mark = f">= {row['at_least']}" if row["at_least"] else ""
        figure = f"score, ResNet-56: {row['figure']}"
        yield figure, *rates, row["ratio"], mark, "scores"


def taken():
    """Rows of the latency table: what `align="auto"` takes."""
    return [row for row in read("latency") if row["auto"]]


def latency():
    """Rows: the worst stripped models."""
    rows = taken()
    full = [row for row in rows if row["batch"] == "32"]
    for column, mark, found, name in (
        ("efficiency", ">= 0.8", full, "speed-up / FLOPs ratio, batch 32"),
        ("speedup", ">= 1", rows, "speed-up, any batch"),
    ):
        for runtime in RUNTIMES:
            worst = min(
                (row for row in found if row["runtime"] == runtime),
                key=lambda row: float(row[column]),
            )
            figure = (
                f"{runtime}, least {name}: {worst['net']}, "
                f"{worst['gone_percent']} %, batch {worst['batch']}"
            )
            times = [f"{worst[x]} ms" for x in ("cpu_ms", "dense_cpu_ms")]
            yield figure, *times, worst[column], mark, "latency"


def sides():
    """(model, our row, Torch-Pruning's) of each architecture."""
    rows = read("against_torch_pruning")
    return [
        (ours["model"], ours, theirs)
        for ours, theirs in zip(rows[::2], rows[1::2], strict=True)
    ]


def strip():
    """Rows: strip beside Torch-Pruning, and beside Keras's own copying."""
    pairs = {
        "Torch-Pruning": [
            (ours["cpu_s"], theirs["cpu_s"]) for _, ours, theirs in sides()
        ],
        "Keras's clone_model": [
            (ours["cpu_s"], ours["clone_cpu_s"]) for _, ours, _ in sides()
        ],
    }
    for partner, texts in pairs.items():
        both = [tuple(map(float, pair)) for pair in texts if all(pair)]
        middle = [statistics.median(side) for side in zip(*both, strict=True)]
        ratio = statistics.median(ours / theirs for ours, theirs in both)
        yield (
            f"strip / {partner}, medians of {len(both)} architectures",
            *(f"{seconds:.2f} s" for seconds in middle),
            *(f"{ratio:.2f}", "", "against_torch_pruning"),
        )


def beside():
    """Rows: strip and Torch-Pruning, architecture by architecture."""
    for model, ours, theirs in sides():
        coupled = float(theirs["coupled"] or "nan")
        yield (
            model,
            *(f"{ours[x]} / {theirs[x]}" for x in ("handled", "difference")),
            "" if coupled != coupled else f"{coupled:.0%}".replace("%", " %"),
            ours["gathers"],
            f"{ours['cpu_s']} / {theirs['cpu_s']}",
            ours["clone_cpu_s"],
            f"{ours['peak_rise_mib']} / {theirs['peak_rise_mib']}",
        )


def start_up():
    """Rows: commands and imports."""
    for row in read("start_up"):
        mark = f"<= {row['most_s']} s" if row["most_s"] else ""
        mark = mark or f"<= {row['at_most']}"
        seconds = [f"{row[x]} s" for x in ("cpu_s", "partner_cpu_s")]
        yield row["figure"], *seconds, row["ratio"], mark, "start_up"


def served():
    """Rows: every stripped model, speed-ups for batches of 1 and 32."""
    nets = {}
    for row in taken():
        key = row["net"], row["gone_percent"], row["round_to"]
        nets.setdefault(key, []).append(row)
    for (net, gone, _), rows in nets.items():
        cells = []
        for runtime in RUNTIMES:
            both = [row for row in rows if row["runtime"] == runtime]
            speeds = " / ".join(row["speedup"] for row in both)
            cells.append(f"{speeds} ({both[-1]['efficiency']})")
        ratio, align = rows[0]["flops_ratio"], rows[0]["align"]
        yield net, f"{gone} %", f"1/{ratio}", align, *cells


def main():
    """Prints all."""
    parts = (training, orthoreg, scores, latency, strip, start_up)
    show(SPEED, [row for part in parts for row in part()])
    show((*SERVED, *RUNTIMES), served())
    show(BESIDE, beside())


if __name__ == "__main__":
    main()
