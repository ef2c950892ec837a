"""The README's tables of what is fast and what is not, of the results.

    python benchmarks/table_of_speed.py

Reads `benchmarks/results/*.csv`, which the scripts named there wrote.
"""

import csv
import statistics

from table_of_seeds import RESULTS

SPEED = ("figure", "ours", "partner", "ratio", "mark", "by clock", "command")
BESIDE = (
    *("model", "handled", "difference", "coupled there", "gathers here"),
    *("CPU s", "by clock", "clone_model", "by clock", "memory, MiB"),
)
PROFILE = (
    *("net", "step", "convolutions", "norms", "element by element"),
    *("pads, pools", "variables", "other operations", "framework"),
    *("tensors at the peak", "holes"),
)
STEP = ("", "batch", "products", "memory", "launches", "images/s at best")
SERVED = ("net", "channels gone", "widths", "FLOPs", "left")
_H100 = {
    "device": "h100",
    "devices": "1",
    "activation": "rrelu",
    "layers": "fused",
    "dtype": "bfloat16",
}
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


def clock(ours, partner, unit):
    """A cell: the wall clock's time or rate, ours / the partner's."""
    return f"{ours} / {partner}{unit}"


def training():
    """Rows: training steps."""
    for row in read("training_step"):
        unit = row["unit"].replace("CPU ms/image", "ms").replace("peak ", "")
        ours, partner = (f"{row[x]} {unit}" for x in ("ours", "partner"))
        mark = f"<= {float(row['at_most']):.2f}" if row["at_most"] else ""
        ratio = f"{float(row['ratio']):.2f}"
        figure = f"{row['net']}: {row['figure']}"
        walls = row["wall_ours"], row["wall_partner"]
        wall = clock(*walls, " ms") if all(walls) else ""
        yield figure, ours, partner, ratio, mark, wall, "training_step"


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
        wall = clock(given["step_wall_s"], without["step_wall_s"], " s")
        yield figure, *seconds, ratio, mark, wall, "orthoreg_step"


def shapes():
    """Rows: OrthoReg's penalties alone, of layers one by one."""
    for row in read("orthoreg_shapes"):
        figure = (
            f"{row['net']}: {row['layers']} penalties / the same, "
            f"{row['shapes']} shapes stacked"
        )
        times = [f"{row[x]} ms" for x in ("ours_cpu_ms", "stacked_cpu_ms")]
        wall = clock(row["ours_wall_ms"], row["stacked_wall_ms"], " ms")
        yield figure, *times, row["ratio"], "", wall, "orthoreg_shapes"


def scores():
    """Rows: scores by gradients."""
    for row in read("scores"):
        rates = [f"{row[x]}/s" for x in ("ours_per_s", "partner_per_s")]
        mark = f">= {row['at_least']}" if row["at_least"] else ""
        figure = f"score, ResNet-56: {row['figure']}"
        wall = clock(row["wall_ours_per_s"], row["wall_partner_per_s"], "/s")
        yield figure, *rates, row["ratio"], mark, wall, "scores"


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
                f"{worst['gone_percent']} %, widths of {worst['round_to']}, "
                f"batch {worst['batch']}"
            )
            times = [f"{worst[x]} ms" for x in ("cpu_ms", "dense_cpu_ms")]
            wall = clock(worst["wall_ms"], worst["dense_wall_ms"], " ms")
            yield figure, *times, worst[column], mark, wall, "latency"


def sides():
    """model -> our row, and Torch-Pruning's if it knows a twin."""
    found = {}
    for row in read("against_torch_pruning"):
        found.setdefault(row["model"], []).append(row)
    return found


def strip():
    """Rows: strip beside Torch-Pruning, and beside Keras's own copying."""
    twins = [rows for rows in sides().values() if rows[1:]]
    partners = {
        "Torch-Pruning": (twins, 1, ""),
        "Keras's clone_model": ([*sides().values()], 0, "clone_"),
    }
    for partner, (found, side, prefix) in partners.items():
        both = {
            unit: [
                (float(rows[0][unit]), float(rows[side][prefix + unit]))
                for rows in found
            ]
            for unit in ("cpu_s", "wall_s")
        }
        middle = {
            unit: [
                f"{statistics.median(seconds):.2f}"
                for seconds in zip(*pairs, strict=True)
            ]
            for unit, pairs in both.items()
        }
        ratio = statistics.median(
            ours / theirs for ours, theirs in both["cpu_s"]
        )
        yield (
            f"strip / {partner}, medians of {len(found)} architectures",
            *(f"{seconds} s" for seconds in middle["cpu_s"]),
            *(f"{ratio:.2f}", "", clock(*middle["wall_s"], " s")),
            "against_torch_pruning",
        )


def beside():
    """Rows: strip and Torch-Pruning, architecture by architecture."""
    columns = ("handled", "difference", "cpu_s", "wall_s", "peak_rise_mib")
    for model, rows in sides().items():
        ours = rows[0]
        coupled = "".join(row["coupled"] for row in rows[1:])
        handled, difference, cpu, wall, rise = (
            " / ".join(row[column] for row in rows) for column in columns
        )
        yield (
            *(model, handled, difference),
            f"{float(coupled):.0%}".replace("%", " %") if coupled else "",
            *(ours["gathers"], cpu, wall),
            *(ours["clone_cpu_s"], ours["clone_wall_s"], rise),
        )


def profile():
    """Rows: what the profiler saw of a training step."""
    for row in read("profile_step"):
        shares = (
            *("convolutions", "norms", "elementwise", "pads_and_pools"),
            *("variables", "others", "framework"),
        )
        cells = [f"{100 * float(row[name]):.1f} %" for name in shares]
        held, holes = f"{row['held_mib']} MiB", row["holes"]
        yield row["net"], row["partner"], *cells, held, holes


def on_paper():
    """Rows: a training step of one H100, bfloat16."""
    for row in read("step_cost"):
        if not _H100.items() <= row.items():
            continue
        how = "fused (`--jit_compile`)"
        how = how if row["fused"] == "yes" else "operation by operation"
        bounds = ("products_ms", "memory_ms", "launches_ms")
        yield (
            *(f"{row['net']}, {how}", row["batch"]),
            *(f"{row[bound]} ms" for bound in bounds),
            row["images_per_s"],
        )


def start_up():
    """Rows: commands and imports."""
    for row in read("start_up"):
        mark = f"<= {row['most_s']} s" if row["most_s"] else ""
        mark = mark or f"<= {row['at_most']}"
        seconds = [f"{row[x]} s" for x in ("cpu_s", "partner_cpu_s")]
        wall = clock(row["wall_s"], row["partner_wall_s"], " s")
        yield row["figure"], *seconds, row["ratio"], mark, wall, "start_up"


def served():
    """Rows: every stripped model, speed-ups for batches of 1 and 32."""
    nets = {}
    for row in taken():
        key = row["net"], row["gone_percent"], row["round_to"]
        nets.setdefault(key, []).append(row)
    for (net, gone, width), rows in sorted(nets.items(), key=_order):
        cells = []
        for runtime in RUNTIMES:
            both = [row for row in rows if row["runtime"] == runtime]
            speeds = " / ".join(row["speedup"] for row in both)
            cells.append(f"{speeds} ({both[-1]['efficiency']})")
        ratio, align = rows[0]["flops_ratio"], rows[0]["align"]
        yield net, f"{gone} %", width, f"1/{ratio}", align, *cells


def _order(item):
    (net, gone, width), _ = item
    return net, int(gone), int(width)


def main():
    """Prints all."""
    parts = (training, orthoreg, shapes, scores, latency, strip, start_up)
    show(SPEED, [row for part in parts for row in part()])
    show(PROFILE, profile())
    show((*SERVED, *RUNTIMES), served())
    show(BESIDE, beside())
    show(STEP, on_paper())


if __name__ == "__main__":
    main()
