"""The input pipeline alone, against the training step that it feeds.

    python benchmarks/input.py
    python benchmarks/input.py --dataset=cifar10 --data_dir=... --arch=wrn_40_4

For each `--cache` measures, on this machine, images a second of the training
data alone (one epoch, augmented, batches dropped) and of the training step
alone (on one batch that is there already), by turns, after a first epoch that
starts both: medians of 7 rounds. Rates by the clock tell which is the
bottleneck, for input has all cores; beside them, CPU time (user + system) an
image. With a GPU the step is the GPU's and the pipeline still the CPU's. Writes
benchmarks/results/input.csv, a row each.
"""

import csv
import os
import pathlib
import tempfile

import clock
import keras
import numpy as np
from absl import app, flags
from rich.table import Table

from rrelu_tf import data as datasets
from rrelu_tf import models
from rrelu_tf.analysis import text

ROUNDS = 7
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
            rows.append(row(cache, data))
    show(rows)
    with open(RESULTS, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def row(cache, data):
    """What one cache gives, by column."""
    sides = [epochs(data), steps(data)]
    for side in sides:
        next(side)
    found = [[cost(side) for side in sides] for _ in range(ROUNDS)]
    (alone, input_us), (step, step_us) = np.median(found, axis=0)
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
        "input_cpu_us": round(input_us, 2),
        "step_cpu_us": round(step_us),
    }


def cost(side):
    """(images a second, CPU microseconds an image) of the next round."""
    images, (cpu, wall) = clock.timed(next, side)
    return images / wall, 1e6 * cpu / images


def epochs(data):
    """Takes an epoch of training data each time; yields its images."""
    batches = iter(data.train(0, 1 + ROUNDS))
    while True:
        for _ in range(data.steps_per_epoch):
            next(batches)
        yield data.train_size


def steps(data):
    """Makes `--steps` training steps on one batch each time."""
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
    while True:
        for _ in range(STEPS.value):
            model.train_on_batch(images, labels)
        yield STEPS.value * len(labels)


def show(rows):
    """Prints the rows."""
    table = Table(*rows[0])
    for each in rows:
        table.add_row(*map(str, each.values()))
    print(text.render(table))


if __name__ == "__main__":
    app.run(main)
