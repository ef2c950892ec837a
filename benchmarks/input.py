"""The input pipeline alone, against the training step that it feeds.

    python benchmarks/input.py
    python benchmarks/input.py --dataset=cifar10 --data_dir=... --arch=wrn_40_4

For each `--cache` measures, on this machine, images a second of the training
data alone (one epoch, augmented, batches dropped) and of the training step
alone (on one batch that is there already), after a first epoch that starts
both. Input is the bottleneck where its rate is the lower one. With a GPU the
step is the GPU's and the pipeline still the CPU's. Writes
benchmarks/results/input.csv, a row each.
"""

import csv
import os
import pathlib
import tempfile
import time

import keras
from absl import app, flags
from rich.table import Table

from rrelu_tf import data as datasets
from rrelu_tf import models
from rrelu_tf.analysis import text

RESULTS = pathlib.Path(__file__).with_name("results") / "input.csv"
DATASET = flags.DEFINE_string("dataset", "mnist", "As of bin/train.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "As of bin/train.")
ARCH = flags.DEFINE_string("arch", "resnet20", "As of bin/train.")
BATCH = flags.DEFINE_integer("batch_size", 128, "As of bin/train.")
CACHES = flags.DEFINE_list("caches", ["memory", "disk", "none"], "Which.")
STEPS = flags.DEFINE_integer("steps", 10, "Training steps that are timed.")


def main(argv):
    """Measures, prints and writes the table."""
    del argv
    rows = []
    with tempfile.TemporaryDirectory() as cache_dir:
        for cache in CACHES.value:
            data = datasets.load(
                DATASET.value,
                data_dir=DATA_DIR.value,
                cache=cache,
                cache_dir=cache_dir,
                batch_size=BATCH.value,
            )
            rows.append(row(cache, data, step_rate(data)))
    show(rows)
    with open(RESULTS, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def row(cache, data, step):
    """What one cache gives, by column."""
    alone = input_rate(data)
    return {
        "dataset": data.name,
        "arch": ARCH.value,
        "batch_size": data.batch_size,
        "cache": cache,
        "cpus": os.cpu_count(),
        "input_images_per_second": round(alone),
        "step_images_per_second": round(step),
        "input_over_step": round(alone / step, 2),
        "bottleneck": "input" if alone < step else "step",
    }


def input_rate(data):
    """Images a second of an epoch, the one after the first."""
    batches = iter(data.train(0, 2))
    for _ in range(data.steps_per_epoch):
        next(batches)
    start = time.perf_counter()
    for _ in range(data.steps_per_epoch):
        next(batches)
    return data.train_size / (time.perf_counter() - start)


def step_rate(data):
    """Images a second of training steps on one batch."""
    keras.backend.clear_session()
    model = models.create(
        ARCH.value,
        num_classes=data.num_classes,
        input_shape=data.image_shape,
        activation="rrelu",
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = next(iter(data.train()))
    for _ in range(2):
        model.train_on_batch(images, labels)
    start = time.perf_counter()
    for _ in range(STEPS.value):
        model.train_on_batch(images, labels)
    elapsed = time.perf_counter() - start
    return STEPS.value * len(labels) / elapsed


def show(rows):
    """Prints the rows."""
    table = Table(*rows[0])
    for each in rows:
        table.add_row(*map(str, each.values()))
    print(text.render(table))


if __name__ == "__main__":
    app.run(main)
