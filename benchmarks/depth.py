"""How the time of strip grows with a network's depth.

    python benchmarks/depth.py

CPU seconds (user + system) of `strip` on masked models of keras.applications:
medians of 5 calls, after one that warms up, each on a heap without the garbage
of the one before. Through ResNet50, 101 and 152 goes a straight line, fitted by
least squares. Writes `benchmarks/results/depth.csv`.
"""

import gc
import statistics
import time

import applications
import numpy as np

import rrelu_tf

_ROUNDS = 5
_LINE = ("ResNet50", "ResNet101", "ResNet152")
_OTHERS = ("DenseNet121", "ConvNeXtTiny")


def measure(name):
    """The table's row of one constructor, as a dict."""
    # The input's size is nothing to strip: a small one saves the benchmark's.
    model = applications.create(name, input_shape=(64, 64, 3))
    masked = applications.masked(model, applications.halves(model))
    times = []
    for _ in range(1 + _ROUNDS):
        gc.collect()
        start = time.process_time()
        rrelu_tf.strip(masked)
        times.append(time.process_time() - start)
    return {
        "model": name,
        "layers": len(rrelu_tf.profile(model).layers),
        "strip_cpu_s": round(statistics.median(times[1:]), 3),
    }


def fit(rows):
    """Adds what a straight line through the rows says of each.

    Returns:
        (seconds per layer, seconds for none).
    """
    layers = [row["layers"] for row in rows]
    seconds = [row["strip_cpu_s"] for row in rows]
    slope, start = np.polyfit(layers, seconds, 1)
    for row in rows:
        row["line_s"] = round(slope * row["layers"] + start, 3)
    return slope, start


def main():
    """Measures, prints and writes the table."""
    rows = [measure(name) for name in (*_LINE, *_OTHERS)]
    slope, start = fit(rows[: len(_LINE)])
    applications.write(applications.RESULTS / "depth.csv", rows)
    applications.show(
        rows,
        f"strip: {1000 * slope:.2f} ms a layer of a ResNet, {start:+.2f} s",
    )


if __name__ == "__main__":
    main()
