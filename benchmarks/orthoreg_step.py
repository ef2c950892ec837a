"""What OrthoReg adds to a training step, in CPU time (user + system).

    python benchmarks/orthoreg_step.py

- a step of the OrthoReg authors' VGG-13 and ResNet-34 (batch 128, 32 x 32, 100
  classes, SGD as bin/train has it) without the penalty and with it
- the penalty alone, value and gradient, layer by layer: `--layers`

Partners take turns in one run; medians of `--rounds` steps. Writes
`benchmarks/results/orthoreg_step.csv`.
"""

import argparse
import csv
import pathlib
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf import filters
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe

NETS = ("vgg13", "resnet34")
VARIANTS = {
    "without": {},
    "with": {"orthoreg": 1e-2},
}
BATCH = 128


def cpu_s(call):
    """CPU seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def step(net, options):
    """A function that trains one step; the model; both are warm."""
    recipe = Recipe(
        arch=net, activation="relu", weight_decay=0.0, epochs=25, **options
    )
    keras.utils.set_random_seed(0)
    model = building.make_model(recipe, 100, (32, 32, 3))
    building.compile_model(recipe, model, building.create_schedule(recipe, 391))
    generator = np.random.default_rng(0)
    images = generator.normal(size=(BATCH, 32, 32, 3)).astype("float32")
    labels = generator.integers(0, 100, BATCH)
    model.train_on_batch(images, labels)
    return lambda: model.train_on_batch(images, labels), model


def steps(net, rounds):
    """dict: variant -> CPU seconds of its steps, taken in turns."""
    calls = {name: step(net, options)[0] for name, options in VARIANTS.items()}
    times = {name: [] for name in calls}
    for number in range(rounds):
        order = [*calls] if number % 2 == 0 else [*reversed(calls)]
        for name in order:
            times[name].append(cpu_s(calls[name]))
    return times


def penalised(variable):
    """A function that computes a kernel's penalty and its gradient."""

    @tf.function(autograph=False)
    def gradient():
        with tf.GradientTape() as tape:
            value = variable.regularizer(variable.value)
        return value, tape.gradient(value, variable.value)

    return gradient


def penalties(net, rounds):
    """(layer, kernel's shape, CPU milliseconds of penalty and gradient)."""
    _, model = step(net, VARIANTS["with"])
    for kernel in filters.of(model):
        gradient = penalised(kernel.variable)
        gradient()
        times = [cpu_s(gradient) for _ in range(rounds)]
        shape = " x ".join(map(str, kernel.variable.shape))
        yield kernel.key, shape, 1000 * statistics.median(times)


def main():
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=NETS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layers", action="store_true")
    options = parser.parse_args()
    if options.layers:
        for net in options.nets:
            for key, shape, cost in penalties(net, options.rounds):
                print(f"{net} {key} ({shape}): {cost:.2f} ms")
        return
    path = pathlib.Path(__file__).parent / "results" / "orthoreg_step.csv"
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["net", "orthoreg", "step_cpu_s", "over_without"])
        for net in options.nets:
            for row in rows(net, options.rounds):
                print(*row, flush=True)
                table.writerow(row)


def rows(net, rounds):
    """(net, variant, median CPU seconds, median ratio in a round)."""
    times = steps(net, rounds)
    plain = times["without"]
    for name, seen in times.items():
        pairs = zip(seen, plain, strict=True)
        ratio = statistics.median(one / other for one, other in pairs)
        yield net, name, f"{statistics.median(seen):.3f}", f"{ratio:.3f}"


if __name__ == "__main__":
    main()
