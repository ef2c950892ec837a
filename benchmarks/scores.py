"""Scores by gradients beside straightforward loops in PyTorch.

    python benchmarks/scores.py

ResNet-56 with random weights, 100 classes, images of 32 x 32, evaluation mode,
one thread each. CPU time (user + system) is the figure, partners take turns in
one process, and a ratio is the median of `--rounds` ratios. What is compared:

- fisher: ours squares each example's sums. A loop must take the gradient of
  each example by itself ("per example"); with the authors' squares of means
  (`protocol="seed"`) it goes by batches of 128 ("per batch").
- tfo: squares of batches, so the loop goes by batches. Ours is the pass that
  makes fisher, orthoreg and tfo, of both protocols, at once.
- grasp: the gradient of all, then by batches the gradient of what it makes with
  a batch's own: a Hessian-vector product, on both sides.
- rdt: a backward pass for each example and class; of the seed protocol for
  each batch of 32 and class. "rdt, whole filters" is `per_weight=False`. All
  classes are about as likely, so that none is left out: the dearest case; but
  of "rdt, sure": logits there are multiplied until the likeliest class of an
  example has 0.9 on average, as trained nets are, and ours leaves classes out.
  "rdt, loop" has a partner that is no loop: ours with the gradients along
  directions as one vectorised Jacobian.

Rates are examples a second, ours with all that comes once (tracing) for 10,000
examples, by what the first batch and what the others took. Writes
`benchmarks/results/scores.csv` as it goes; figures that are there are not
measured again without `--again`. Needs PyTorch.
"""

import argparse
import csv
import pathlib
import statistics
import unittest.mock

import clock
import keras
import numpy as np
import tensorflow as tf
import torch
import torch_nets
from torch import nn
from torch.nn import functional

import rrelu_tf
from rrelu_tf import scoring

BATCH, CLASSES, SAMPLES = 128, 100, 10_000
FEW = 32  # in a batch of the seed protocol's rdt
# What an example's likeliest class has, on average: of classes that are not
# likely rdt leaves out what it can.
EVEN, SURE = 0.011, 0.9
PATH = pathlib.Path(__file__).parent / "results" / "scores.csv"
COLUMNS = (
    *("figure", "ours_per_s", "partner_per_s", "ratio", "at_least"),
    *("once_s", "wall_ours_per_s", "wall_partner_per_s"),
)


def images(count):
    """`count` images, and their classes."""
    rng = np.random.default_rng(0)
    shape = (count, 32, 32, 3)
    return rng.normal(size=shape).astype("float32"), np.arange(count) % CLASSES


def factor(logits, likeliest):
    """What to multiply logits by, so that the likeliest class has so much."""
    low, high = -20.0, 20.0  # powers of 2
    for _ in range(30):
        middle = (low + high) / 2
        exps = np.exp((logits - logits.max(1, keepdims=True)) * 2**middle)
        less = np.mean(1 / exps.sum(1)) < likeliest
        low, high = (middle, high) if less else (low, middle)
    return 2**middle


class Loops:
    """The loops, each a function of images `(n, 3, 32, 32)` and classes."""

    def __init__(self, likeliest):
        """Makes the net."""
        torch.manual_seed(0)
        self.net = torch_nets.create("resnet56", False, CLASSES).eval()
        inputs = torch.tensor(images(FEW)[0].transpose(0, 3, 1, 2).copy())
        with torch.no_grad():
            times = factor(self.net(inputs).numpy(), likeliest)
            for weight in self.net[-1].parameters():
                weight *= times
        modules = list(self.net.modules())
        self.kernels = [m.weight for m in modules if isinstance(m, nn.Conv2d)]
        self.norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]

    def _backward(self, x, y):
        self.net.zero_grad()
        functional.cross_entropy(self.net(x), y).backward()

    def fisher(self, x, y):
        """Squares of each example's sums."""
        scores = [0.0] * len(self.kernels)
        for at in range(len(x)):
            self._backward(x[at : at + 1], y[at : at + 1])
            for place, w in enumerate(self.kernels):
                sums = (w.detach() * w.grad).sum((1, 2, 3))
                scores[place] = scores[place] + sums**2 / len(x)
        return scores

    def tfo(self, x, y):
        """Squares of batches' sums."""
        scores = [0.0] * len(self.norms)
        for at in range(0, len(x), BATCH):
            part = slice(at, at + BATCH)
            self._backward(x[part], y[part])
            for place, norm in enumerate(self.norms):
                sums = norm.weight.detach() * norm.weight.grad
                sums += norm.bias.detach() * norm.bias.grad
                scores[place] = scores[place] + sums**2 * len(x[part]) / len(x)
        return scores

    def grasp(self, x, y, temperature=200.0):
        """w * (Hg), g the mean gradient and H its Hessian."""
        weights = list(self.net.parameters())

        def gradients(**options):
            for at in range(0, len(x), BATCH):
                part = slice(at, at + BATCH)
                logits = self.net(x[part]) / temperature
                loss = functional.cross_entropy(logits, y[part])
                loss = loss * len(logits) / len(x)
                yield torch.autograd.grad(loss, weights, **options)

        total = [sum(parts) for parts in zip(*gradients(), strict=True)]
        self.net.zero_grad()
        for parts in gradients(create_graph=True):
            pairs = zip(parts, total, strict=True)
            sum((part * fixed).sum() for part, fixed in pairs).backward()
        return [(w.detach() * w.grad).sum((1, 2, 3)) for w in self.kernels]

    def rdt(self, x, _, batch=1, times_weights=True):
        """sum_j p_j (dlog p_j / dw)^2, p and log p means over a batch."""
        squares = [torch.zeros_like(w) for w in self.kernels]
        for at in range(0, len(x), batch):
            logs = functional.log_softmax(self.net(x[at : at + batch]), dim=1)
            shares = logs.detach().exp().mean(0)
            for share, log in zip(shares, logs.mean(0), strict=True):
                found = torch.autograd.grad(
                    log, self.kernels, retain_graph=True
                )
                for square, gradient in zip(squares, found, strict=True):
                    square += share * len(x[at : at + batch]) * gradient**2
        if times_weights:
            pairs = zip(squares, self.kernels, strict=True)
            squares = [square * w.detach() ** 2 for square, w in pairs]
        return [square.sum((1, 2, 3)) / len(x) for square in squares]

    def rdt_seed(self, x, y):
        """The authors' rdt before it is divided by means."""
        return self.rdt(x, y, batch=FEW, times_weights=False)


def ours(model, method, **options):
    """A function of images and classes that scores a model."""

    def call(x, y):
        if method == "first order":
            methods = ["fisher", "orthoreg", "tfo"]
            return scoring.scores(model, methods, (x, y), **options)
        return rrelu_tf.score(model, method, (x, y), **options)

    return call


def vectorised(call):
    """A function whose gradients along directions are one Jacobian."""

    def run(*data):
        def map_fn(function, elements, **_):
            return tf.vectorized_map(function, elements)

        with unittest.mock.patch.object(tf, "map_fn", map_fn):
            return call(*data)

    return run


def net(likeliest):
    """Our ResNet-56."""
    keras.utils.set_random_seed(0)
    model = rrelu_tf.models.create("resnet56", num_classes=CLASSES)
    logits = model.predict(images(FEW)[0], verbose=0)
    for weight in model.layers[-1].trainable_variables:
        weight.assign(weight * factor(logits, likeliest))
    return model


class Ours:
    """One of our scores, timed.

    Attributes:
        once: list of seconds that came once in each measurement.
    """

    def __init__(self, call, batch, batches):
        self.call, self.batch, self.batches = call, batch, batches
        self.once = []

    def warm_up(self):
        """Loads what is loaded once a process."""
        self.call(*images(self.batch))

    def rates(self):
        """Examples a second of `SAMPLES`, by CPU time and the wall clock."""
        batch, others = self.batch, self.batches - 1
        _, first = clock.timed(self.call, *images(batch))
        _, both = clock.timed(self.call, *images(batch * self.batches))
        each = (both - first) / (batch * others)
        self.once.append(first[0] - batch * each[0])
        return SAMPLES / (first + each * (SAMPLES - batch))


class Theirs:
    """A loop in PyTorch, timed on `count` examples."""

    def __init__(self, call, count):
        x, y = images(count)
        x = torch.tensor(x.transpose(0, 3, 1, 2).copy())
        self.call, self.data = call, (x, torch.tensor(y))

    def warm_up(self):
        """Loads what is loaded once a process."""
        self.call(*(x[:1] for x in self.data))

    def rates(self):
        """Examples a second, by CPU time and the wall clock."""
        return len(self.data[0]) / clock.timed(self.call, *self.data)[1]


def figures():
    """Name -> (ours, partner, mark)."""
    model, loops = net(EVEN), Loops(EVEN)
    first = Ours(ours(model, "first order", batch_size=BATCH), BATCH, 4)
    grasp = Ours(ours(model, "grasp", batch_size=BATCH), BATCH, 3)
    rdt = ours(model, "rdt", batch_size=BATCH)
    sure = ours(net(SURE), "rdt", batch_size=BATCH)
    whole = ours(model, "rdt", per_weight=False, batch_size=8)
    means = {"per_sample": False, "times_weights": False}
    seed = ours(model, "rdt", batch_size=FEW, **means)
    jacobian = vectorised(rdt)
    return {
        "fisher, per example": (first, Theirs(loops.fisher, 64), 2),
        "fisher and tfo, per batch": (first, Theirs(loops.tfo, 2 * BATCH), 2),
        "grasp": (grasp, Theirs(loops.grasp, 2 * BATCH), ""),
        "rdt": (Ours(rdt, 8, 3), Theirs(loops.rdt, 1), 5),
        "rdt, sure": (Ours(sure, 8, 4), Theirs(Loops(SURE).rdt, 1), 5),
        "rdt, loop": (Ours(rdt, 8, 3), Ours(jacobian, 8, 3), ""),
        "rdt, whole filters": (Ours(whole, 8, 4), Theirs(loops.rdt, 1), ""),
        "rdt, per batch": (Ours(seed, FEW, 2), Theirs(loops.rdt_seed, FEW), 5),
    }


def measure(mine, theirs, rounds):
    """Medians over rounds.

    Returns:
        (our examples a second by CPU time and by the wall clock, the
        partner's, their ratio by CPU time, seconds that ours takes once).
    """
    mine.once = []
    sides, found = (mine, theirs), []
    for side in sides:
        side.warm_up()
    for number in range(rounds):
        turn = 1 if number % 2 == 0 else -1
        found.append([side.rates() for side in sides[::turn]][::turn])
    found = np.array(found)  # (rounds, sides, clocks)
    ratio = np.median(found[:, 0, 0] / found[:, 1, 0])
    return (*np.median(found, axis=0), ratio, statistics.median(mine.once))


def main():
    """Measures what is missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="these figures alone")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    torch.set_num_threads(1)
    rows = {}
    if PATH.exists():
        with open(PATH, newline="") as file:
            rows = {row["figure"]: row for row in csv.DictReader(file)}
    for name, (mine, theirs, mark) in figures().items():
        if given.only and name not in given.only:
            continue
        if name in rows and not given.again:
            continue
        (cpu, wall), (their_cpu, their_wall), ratio, once = measure(
            mine, theirs, given.rounds
        )
        values = [f"{x:.3g}" for x in (cpu, their_cpu, ratio)]
        walls = [f"{x:.3g}" for x in (once, wall, their_wall)]
        row = [name, *values, mark, *walls]
        rows[name] = dict(zip(COLUMNS, row, strict=True))
        print(rows[name], flush=True)
        with open(PATH, "w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows.values())


if __name__ == "__main__":
    main()
