"""What gathers cost: align="gather" beside "couple", and what "auto" takes.

    python benchmarks/align.py

Each network keeps half of its FLOPs, chosen by the L1 size of random filters
(widths and time are real, accuracy is not asked). Latency: CPU time of a batch
of 8 at 224 x 224 in one thread, and by the clock, in turns with the source,
medians of 11. Beside it, what `rrelu_tf.strip.cpu_cost` has on paper, which
"auto" goes by. Writes `benchmarks/results/align.csv`.
"""

import applications
import keras
import numpy as np
import tensorflow as tf

import rrelu_tf
from rrelu_tf.analysis.latency import compare
from rrelu_tf.strip import cpu_cost

_NETWORKS = ("ResNet50", "MobileNetV2")
_ROUNDS = 11
_LEFT = 0.5


def scores(model):
    """L1 size of each filter, over the size of its layer's filters."""
    found = {}
    for layer in model.layers[:-1]:
        if type(layer) is keras.layers.Conv2D:
            kernel = np.abs(keras.ops.convert_to_numpy(layer.kernel))
            size = kernel.sum(axis=(0, 1, 2))
            found[layer.name] = size / size.mean()
    return found


def measure(name, align):
    """The table's row of one network and alignment, as a dict."""
    model = applications.create(name)
    keep = rrelu_tf.select(
        scores(model), flops=_LEFT, model=model, align=align, reduce="mean"
    )
    masked = rrelu_tf.mask(model, keep)
    small = rrelu_tf.strip(masked, align=align)
    rrelu_tf.verify(masked, small, samples=2)
    images = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:]))
    times = compare(
        model, small, images.astype("float32"), repeats=_ROUNDS, warmup=2
    )
    before, after = rrelu_tf.profile(model), rrelu_tf.profile(small)
    return {
        "model": name,
        "align": align,
        "channels_gone_percent": round(
            100 * (1 - np.mean(np.concatenate(list(keep.values())))), 1
        ),
        "gathers": sum("gather" in layer.name for layer in small.layers),
        "params_percent": round(100 * after.params / before.params, 1),
        "flops_percent": round(100 * after.flops / before.flops, 1),
        "cpu_percent": round(100 * times.cpu_ratio, 1),
        "paper_percent": round(
            100 * cpu_cost.nanoseconds(small) / cpu_cost.nanoseconds(model), 1
        ),
        "cpu_before_ms": round(times.before.cpu_ms, 1),
        "cpu_after_ms": round(times.after.cpu_ms, 1),
        "wall_percent": round(100 * times.wall_ratio, 1),
        "wall_before_ms": round(times.before.wall_ms, 1),
        "wall_after_ms": round(times.after.wall_ms, 1),
    }


def main():
    """Measures, prints and writes the table."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = [
        measure(name, align)
        for name in _NETWORKS
        for align in ("gather", "couple", "auto")
    ]
    applications.write(applications.RESULTS / "align.csv", rows)
    applications.show(rows, "What is left, in per cent of the source")


if __name__ == "__main__":
    main()
