"""How the time of strip grows with a network's depth, step by step.

    python benchmarks/depth.py

CPU seconds (user + system) of `strip` on masked models, and by the clock, one
thread: medians of 7 calls, after one that warms up, each on a heap without the
garbage of the one before. Of ResNets of one width (`wrn_<depth>_1` of
`models.create`) and of families of keras.applications; `channels` counts those
of all layers' outputs, which grow faster than the layers of a DenseNet. Below
the total stands what its steps take, the nested ones' time in the outer ones',
and how often strip began anew. `power` is the slope of logarithms against the
family's smallest: 1 is linear in the layers. Writes
`benchmarks/results/depth.csv`.
"""

import contextlib
import gc
from unittest import mock

import applications
import clock
import keras
import numpy as np
import tensorflow as tf

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.strip import elimination

_ROUNDS = 7
_FAMILIES = (
    ("wrn_28_1", "wrn_58_1", "wrn_118_1", "wrn_238_1"),
    ("ResNet50", "ResNet101", "ResNet152"),
    ("DenseNet121", "DenseNet169", "DenseNet201"),
)
_STEPS = ("trace", "analyse", "leaves_some", "rebuild")


def create(name):
    """A model of random weights; its input's size is nothing to strip."""
    keras.backend.clear_session()
    if name in applications.constructors():
        return applications.create(name, input_shape=(64, 64, 3))
    return applications.randomise(models.create(name, num_classes=10))


@contextlib.contextmanager
def clocked():
    """dict: step -> list of the CPU seconds of its calls, in the block."""
    seen = {step: [] for step in _STEPS}

    def timed(step):
        call = getattr(elimination, step)

        def run(*args, **kwargs):
            made, (cpu, _) = clock.timed(call, *args, **kwargs)
            seen[step].append(cpu)
            return made

        return mock.patch.object(elimination, step, run)

    with contextlib.ExitStack() as stack:
        for step in _STEPS:
            stack.enter_context(timed(step))
        yield seen


def measure(name):
    """The table's row of one model, as a dict."""
    model = create(name)
    masked = applications.masked(model, applications.halves(model))
    found = rrelu_tf.profile(model).layers
    totals, steps = [], []
    for _ in range(1 + _ROUNDS):
        gc.collect()
        with clocked() as seen:
            _, total = clock.timed(rrelu_tf.strip, masked)
        totals.append(total)
        steps.append([sum(seen[step]) for step in _STEPS])
    cpu, wall = np.median(totals[1:], axis=0)
    parts = np.median(steps[1:], axis=0)
    return {
        "model": name,
        "layers": len(found),
        "channels": sum(layer.output_shape[-1] for layer in found),
        "strip_cpu_s": round(cpu, 3),
        "strip_wall_s": round(wall, 3),
        **{
            f"{step}_cpu_s": round(part, 3)
            for step, part in zip(_STEPS, parts, strict=True)
        },
        "rebuilt": len(seen["rebuild"]),
    }


def power(first, row, of):
    """How a row's figure grows with its layers, from its family's first."""
    if row is first:
        return ""
    growth = np.log(row[of] / first[of])
    return round(growth / np.log(row["layers"] / first["layers"]), 2)


def main():
    """Measures, prints and writes the table."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for family in _FAMILIES:
        found = [measure(name) for name in family]
        for row in found:
            row["power"] = power(found[0], row, "strip_cpu_s")
            row["channels_power"] = power(found[0], row, "channels")
        rows += found
        applications.write(applications.RESULTS / "depth.csv", rows)
    applications.show(rows, "strip, by depth")


if __name__ == "__main__":
    main()
