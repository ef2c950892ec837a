"""What a training step costs: fused, of stock Keras layers, and in PyTorch.

    python benchmarks/training_step.py

ResNet-20 and WRN-16-4, batch 128 of 32 x 32, SGD with momentum and weight
decay, one thread each. CPU time (user + system) is the figure, wall-clock
stands beside it; partners take turns in one process, three steps each of which
the last two count, and a ratio is the median of `--rounds` ratios.
"convolutions" are those of the net alone, forward and backward: the floor under
any choice of the other layers. Memory is the peak of a process of its own, less
what it had before the first step, the median of as many, which take turns, too.

Writes `benchmarks/results/training_step.csv` as it goes; a net's times and its
memory, where they are there, are not measured again without `--again`. Needs
PyTorch.
"""

import argparse
import csv
import itertools
import pathlib
import statistics
import subprocess
import sys

import clock
import keras
import numpy as np
import tensorflow as tf
import torch
import torch_nets

from rrelu_tf import models
from rrelu_tf.strip.cloning import PLAIN, clone
from rrelu_tf.training import optimizers

BATCH = 128
STEPS = 2  # that count of each turn
TIME, MEMORY = "CPU ms/image", "peak MiB"
NETS = ("resnet20", "wrn_16_4")
PATH = pathlib.Path(__file__).parent / "results" / "training_step.csv"
COLUMNS = (
    *("net", "figure", "ours", "partner", "unit", "ratio", "at_most"),
    *("wall_ours", "wall_partner"),
)
# (partner that is ours, the other, what the ratio may be at most)
FIGURES = (
    ("fused relu", "stock relu", 0.65),
    ("fused rrelu", "stock rrelu", 0.65),
    ("fused rrelu", "fused relu", 1.10),
    ("fused rrelu", "torch rrelu", 1 / 1.5),
    ("fused rrelu", "torch rrelu channels_last", 1 / 1.25),
    ("fused relu", "torch relu", ""),
    ("fused relu", "torch relu channels_last", ""),
    ("bfloat16 rrelu", "fused rrelu", ""),
    ("fused relu", "convolutions", ""),
    ("stock relu", "convolutions", ""),
)
PEAKS = (
    ("fused relu", "stock relu", 1.0),
    ("fused rrelu", "stock rrelu", 1.0),
    ("fused rrelu", "torch rrelu channels_last", ""),
)


def images():
    """A batch `(128, 32, 32, 3)`, float32."""
    draw = np.random.default_rng(0)
    return draw.normal(size=(BATCH, 32, 32, 3)).astype("float32")


def step(net, partner):
    """A function that makes one training step of a partner."""
    kind, activation, *layout = partner.split()
    if kind == "torch":
        return torch_step(net, activation, bool(layout))
    policy = "mixed_bfloat16" if kind == "bfloat16" else "float32"
    keras.config.set_dtype_policy(policy)
    model = models.create(
        net, num_classes=10, activation=activation, fused=kind != "stock"
    )
    if kind == "stock":
        model = keras.models.clone_model(model, clone_function=stock)
    keras.config.set_dtype_policy("float32")
    model.compile(
        optimizers.create("sgd", 0.01, weight_decay=5e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x, y = tf.constant(images()), tf.constant(np.arange(BATCH) % 10)
    return lambda: model.train_on_batch(x, y)


def stock(layer):
    """A layer's unbuilt copy, norms and convolutions as Keras's own."""
    kind = PLAIN.get(type(layer))
    norm = kind is keras.layers.BatchNormalization
    return clone(layer, kind, **({"synchronized": False} if norm else {}))


def torch_step(net, activation, channels_last):
    """The same step in PyTorch."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    torch.manual_seed(0)
    model = torch_nets.create(net, activation == "rrelu")
    model = model.to(memory_format=layout)
    x = torch.tensor(images().transpose(0, 3, 1, 2).copy())
    x, y = x.contiguous(memory_format=layout), torch.arange(BATCH) % 10
    optimizer = torch.optim.SGD(
        model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4
    )

    def call():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return call


def convolutions(net):
    """A function that computes a net's convolutions, and their gradients."""
    model = models.create(net, num_classes=10)
    convs = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    inputs = [
        tf.random.normal((BATCH, *conv.input.shape[1:])) for conv in convs
    ]
    upstreams = [
        tf.random.normal((BATCH, *conv.output.shape[1:])) for conv in convs
    ]

    @tf.function
    def call(inputs, upstreams):
        made = []
        for conv, x, upstream in zip(convs, inputs, upstreams, strict=True):
            # Images need no gradient.
            sources = [
                conv.kernel.value,
                *([x] if conv is not convs[0] else []),
            ]
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = conv(x)
            made += [y, *tape.gradient(y, sources, upstream)]
        return [tensor[:1, :1] for tensor in made]

    return lambda: call(inputs, upstreams)


def measure(net, rounds):
    """dict: partner -> (CPU, wall-clock) milliseconds per image by round."""
    names = dict.fromkeys(
        name for ours, other, _ in FIGURES for name in (ours, other)
    )
    calls = {
        name: convolutions(net) if name == "convolutions" else step(net, name)
        for name in names
    }
    for call in calls.values():  # trace, and warm up
        call(), call()
    seen = {name: [] for name in calls}
    for number in range(rounds):
        order = [*calls] if number % 2 == 0 else [*reversed(calls)]
        for name in order:
            # As in training, a step follows one of its own net.
            costs = [clock.timed(calls[name])[1] for _ in range(1 + STEPS)]
            seen[name].append(1000 * np.mean(costs[1:], axis=0) / BATCH)
    return seen


def time_rows(net, rounds):
    """Rows of the table: CPU milliseconds per image."""
    seen = measure(net, rounds)
    for ours, other, at_most in FIGURES:
        mine, theirs = np.array(seen[ours]), np.array(seen[other])
        (cpu, wall), (their_cpu, their_wall) = (
            np.median(times, axis=0) for times in (mine, theirs)
        )
        yield (
            *(net, f"{ours} / {other}"),
            *(f"{cpu:.3f}", f"{their_cpu:.3f}", TIME),
            *(f"{np.median(mine[:, 0] / theirs[:, 0]):.3f}", at_most),
            *(f"{wall:.3f}", f"{their_wall:.3f}"),
        )


def peak(net, partner):
    """MiB that a process of its own takes for steps of a partner."""
    command = [sys.executable, __file__, "--nets", net, "--peak", partner]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(run.stdout.split()[-1])


def memory_rows(net, rounds):
    """Rows of the table: peak memory."""
    names = dict.fromkeys(
        name for ours, other, _ in PEAKS for name in (ours, other)
    )
    seen = [{name: peak(net, name) for name in names} for _ in range(rounds)]
    peaks = {
        name: statistics.median(found[name] for found in seen) for name in names
    }
    for ours, other, at_most in PEAKS:
        mine, theirs = peaks[ours], peaks[other]
        yield (
            *(net, f"{ours} / {other}", f"{mine:.0f}", f"{theirs:.0f}"),
            *(MEMORY, f"{mine / theirs:.3f}", at_most, "", ""),
        )


def print_peak(net, partner):
    """Prints what steps add to this process's peak."""
    call = step(net, partner)
    before = peak_kib()
    for _ in range(3):
        call()
    print((peak_kib() - before) / 1024)


def peak_kib():
    """This process's peak so far; `getrusage` would count its parent's."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def table(rows):
    """The rows as Markdown."""
    lines = [
        "| net | figure | ours | partner | ratio | at most | by clock |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        net, figure, ours, partner, unit, ratio, at_most, *walls = row
        at_most = f"{float(at_most):.2f}" if at_most else ""
        lines.append(
            f"| {net} | {figure} | {ours} {unit} | {partner} | {ratio} | "
            f"{at_most} | {' / '.join(filter(None, walls))} |"
        )
    return "\n".join(lines)


def main():
    """Measures what is missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    torch.set_num_threads(given.threads)
    if given.peak:
        print_peak(given.nets[0], given.peak)
        return
    rows = []
    if PATH.exists():
        with open(PATH, newline="") as file:
            rows = [tuple(row.values()) for row in csv.DictReader(file)]
    for net, unit in itertools.product(given.nets, (TIME, MEMORY)):
        known = [row for row in rows if (row[0], row[4]) == (net, unit)]
        if known and not given.again:
            continue
        make = time_rows if unit == TIME else memory_rows
        new = make(net, given.rounds)
        rows = [row for row in rows if row not in known] + list(new)
        with open(PATH, "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    print(table(rows))


if __name__ == "__main__":
    main()
