"""What OrthoReg adds to a training step, in CPU time (user + system).

    python benchmarks/orthoreg_step.py

- a step of the OrthoReg authors' VGG-13 and ResNet-34 (batch 128, 32 x 32, 100
  classes, SGD as bin/train has it) without the penalty and with it
- the same in PyTorch, the penalty as the authors have it: a loop over the
  layers, the gradient by autograd
- the penalty alone, value and gradient, layer by layer: `--layers`

Partners take turns in one run, one thread; medians of `--rounds` steps. Writes
`benchmarks/results/orthoreg_step.csv`. Needs PyTorch.
"""

import argparse
import csv
import pathlib
import statistics

import clock
import keras
import numpy as np
import tensorflow as tf
import torch
import torch_nets
from torch import nn

from rrelu_tf import filters
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe

NETS = ("vgg13", "resnet34")
STRENGTH = 1e-2
COLUMNS = (
    *("net", "framework", "orthoreg"),
    *("step_cpu_s", "over_without", "step_wall_s"),
)
BATCH = 128


def examples():
    """A batch of images and their classes."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(BATCH, 32, 32, 3)).astype("float32")
    return images, generator.integers(0, 100, BATCH)


def step(net, strength):
    """A function that trains one step; the model; both are warm."""
    options = {"orthoreg": strength} if strength else {}
    recipe = Recipe(
        arch=net, activation="relu", weight_decay=0.0, epochs=25, **options
    )
    keras.utils.set_random_seed(0)
    model = building.make_model(recipe, 100, (32, 32, 3))
    building.compile_model(recipe, model, building.create_schedule(recipe, 391))
    images, labels = examples()
    model.train_on_batch(images, labels)
    return lambda: model.train_on_batch(images, labels), model


def torch_step(net, strength):
    """A function that trains one step in PyTorch, and is warm."""
    torch.manual_seed(0)
    model = torch_nets.create(net, rotated=False, num_classes=100)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images, labels = examples()
    images = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    labels, criterion = torch.tensor(labels), nn.CrossEntropyLoss()

    def run():
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        if strength:
            loss = loss + strength * torch_penalty(model)
        loss.backward()
        optimizer.step()

    run()
    return run


def torch_penalty(model):
    """sum_l w_l |G_l - I|, G_l the smaller Gram matrix, w_l of sum 1."""
    total = count = 0.0
    for layer in model.modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        matrix = layer.weight.flatten(1)
        if layer.bias is not None:
            matrix = torch.cat([matrix, layer.bias[:, None]], dim=1)
        if matrix.shape[0] > matrix.shape[1]:
            matrix = matrix.T
        gram = matrix @ matrix.T
        weight = len(gram) ** 0.5
        total = total + weight * (gram - torch.eye(len(gram))).norm(1)
        count += weight
    return total / count


def steps(net, rounds):
    """dict: (framework, orthoreg) -> `seconds` of steps, taken in turns."""
    calls = {
        ("rrelu_tf", "without"): step(net, 0)[0],
        ("rrelu_tf", "with"): step(net, STRENGTH)[0],
        ("PyTorch", "without"): torch_step(net, 0),
        ("PyTorch", "with"): torch_step(net, STRENGTH),
    }
    times = {name: [] for name in calls}
    for number in range(rounds):
        order = [*calls] if number % 2 == 0 else [*reversed(calls)]
        for name in order:
            times[name].append(clock.timed(calls[name])[1])
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
    """(layer, kernel's shape, (CPU, wall-clock) ms of penalty and gradient)."""
    _, model = step(net, STRENGTH)
    for kernel in filters.of(model):
        gradient = penalised(kernel.variable)
        gradient()
        times = [clock.timed(gradient)[1] for _ in range(rounds)]
        shape = " x ".join(map(str, kernel.variable.shape))
        yield kernel.key, shape, 1000 * np.median(times, axis=0)


def main():
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=NETS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layers", action="store_true")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    torch.set_num_threads(1)
    if options.layers:
        for net in options.nets:
            for key, shape, (cpu, wall) in penalties(net, options.rounds):
                print(f"{net} {key} ({shape}): {cpu:.2f} ms ({wall:.2f})")
        return
    path = pathlib.Path(__file__).parent / "results" / "orthoreg_step.csv"
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for net in options.nets:
            for row in rows(net, options.rounds):
                print(*row, flush=True)
                table.writerow(row)


def rows(net, rounds):
    """Of `COLUMNS`: median seconds, median ratio of CPU time in a round."""
    times = steps(net, rounds)
    for (framework, variant), seen in times.items():
        pairs = zip(seen, times[framework, "without"], strict=True)
        ratio = statistics.median(one[0] / other[0] for one, other in pairs)
        cpu, wall = map(statistics.median, zip(*seen, strict=True))
        figures = (f"{figure:.3f}" for figure in (cpu, ratio, wall))
        yield net, framework, variant, *figures


if __name__ == "__main__":
    main()
