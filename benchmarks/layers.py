"""What this package's layers save, in CPU time (user + system).

    python benchmarks/layers.py

- a training step of ResNet-20 (batch 128, 32 x 32) with fused batch
  normalisation, against Keras's
- `ChannelGather` of scattered channels, against `take` and a mask

Partners take turns in one run; medians of 7 rounds. Writes
`benchmarks/results/layers.csv`.
"""

import csv
import pathlib
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf import layers, models
from rrelu_tf.models import blocks

ROUNDS = 7


def cpu_ms(calls, repeats):
    """Median CPU milliseconds of one call, for each of `calls` in turns."""
    times = [[] for _ in calls]
    for call in calls:  # trace and warm up
        call()
    for _ in range(ROUNDS):
        for call, seen in zip(calls, times, strict=True):
            start = time.process_time()
            for _ in range(repeats):
                call()
            seen.append(1000 * (time.process_time() - start) / repeats)
    return [statistics.median(seen) for seen in times]


def training_steps():
    """ResNet-20's step with the fused normalisation, and with Keras's."""
    images = np.random.default_rng(0).normal(size=(128, 32, 32, 3))
    labels = np.arange(128) % 10
    steps = []
    fused = layers.BatchNormalization
    for normalization in (fused, keras.layers.BatchNormalization):
        blocks.layers.BatchNormalization = normalization
        model = models.create("resnet20", num_classes=10)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        steps.append(lambda model=model: model.train_on_batch(images, labels))
    blocks.layers.BatchNormalization = fused
    return cpu_ms(steps, repeats=3)


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
    return cpu_ms([lambda: ours(x), lambda: taken(x)], repeats=20)


def main():
    """Measures, prints and writes the table."""
    rows = [("step of ResNet-20, batch 128", *training_steps())]
    for shape in ((32, 32, 32, 16), (32, 16, 16, 32), (32, 8, 8, 64)):
        name = "gather from " + " x ".join(map(str, shape))
        rows.append((name, *gathers(shape, shape[-1] * 5 // 8)))
    path = pathlib.Path(__file__).parent / "results" / "layers.csv"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["what", "ours_cpu_ms", "partner_cpu_ms", "ratio"])
        for name, ours, partner in rows:
            print(
                f"{name}: {ours:.2f} ms, partner {partner:.2f} ms, "
                f"{partner / ours:.2f} x"
            )
            row = (f"{ours:.3f}", f"{partner:.3f}", f"{partner / ours:.2f}")
            table.writerow([name, *row])


if __name__ == "__main__":
    main()
