"""What a `ChannelGather` costs, in CPU time (user + system).

    python benchmarks/layers.py

Scattered channels, picked by the layer, against TensorFlow's gather and a mask.
Partners take turns in one run, one thread; medians of 7 rounds, the ratio the
median of theirs. Writes `benchmarks/results/layers.csv`.
"""

import csv
import pathlib

import clock
import numpy as np
import tensorflow as tf

from rrelu_tf import layers

ROUNDS, CALLS = 7, 20
SHAPES = ((32, 32, 32, 16), (32, 16, 16, 32), (32, 8, 8, 64))
COLUMNS = (
    *("what", "ours_cpu_ms", "partner_cpu_ms", "ratio"),
    *("ours_wall_ms", "partner_wall_ms"),
)


def milliseconds(calls):
    """Array (rounds, calls, 2): CPU and wall-clock time of a call."""
    for call in calls:  # trace and warm up
        call()
    times = np.empty((ROUNDS, len(calls), 2))
    for number, seen in enumerate(times):
        order = range(len(calls))
        for which in order if number % 2 == 0 else reversed(order):
            spent = [clock.timed(calls[which])[1] for _ in range(CALLS)]
            seen[which] = 1000 * np.mean(spent, axis=0)
    return times


def gathers(shape, kept):
    """`ChannelGather`, and `take` with a mask, of half the channels."""
    generator = np.random.default_rng(0)
    x = tf.constant(generator.normal(size=shape).astype("float32"))
    indices = np.sort(generator.choice(shape[-1], kept, replace=False))
    indices[::4] = -1
    layer = layers.ChannelGather(indices)
    mask = (indices >= 0).astype("float32")
    plain = np.maximum(indices, 0)
    ours = tf.function(layer)
    taken = tf.function(lambda x: tf.gather(x, plain, axis=-1) * mask)
    return milliseconds([lambda: ours(x), lambda: taken(x)])


def rows():
    """Of `COLUMNS`."""
    for shape in SHAPES:
        times = gathers(shape, shape[-1] * 5 // 8)
        (ours, wall), (partner, their_wall) = np.median(times, axis=0)
        ratio = np.median(times[:, 0, 0] / times[:, 1, 0])
        yield (
            "gather from " + " x ".join(map(str, shape)),
            *(f"{ours:.3f}", f"{partner:.3f}", f"{ratio:.2f}"),
            *(f"{wall:.3f}", f"{their_wall:.3f}"),
        )


def main():
    """Measures, prints and writes the table."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = pathlib.Path(__file__).parent / "results" / "layers.csv"
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row in rows():
            print(*row, flush=True)
            table.writerow(row)


if __name__ == "__main__":
    main()
