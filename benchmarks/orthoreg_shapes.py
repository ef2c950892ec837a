"""OrthoReg's penalties layer by layer, and layers of one shape as one stack.

    python benchmarks/orthoreg_shapes.py

The penalty (L1) and its gradient by every kernel of the OrthoReg authors'
VGG-13 and ResNet-34, without the rest of a training step: by the layers' own
regularisers, one after the other; and with the kernels of one shape stacked, a
batched product for their Gram matrices and one for their gradients. Both give
the same numbers, or the script fails.

CPU time (user + system), one thread; partners take turns, medians of
`--rounds`. Writes `benchmarks/results/orthoreg_shapes.csv`.
"""

import argparse
import collections
import csv
import pathlib
import statistics

import clock
import numpy as np
import orthoreg_step
import tensorflow as tf

from rrelu_tf import filters, gram

COLUMNS = (
    *("net", "layers", "shapes", "ours_cpu_ms", "stacked_cpu_ms", "ratio"),
    *("ours_wall_ms", "stacked_wall_ms"),
)


def one_by_one(kernels):
    """The penalty of all kernels, and its gradients, by the regularisers."""
    with tf.GradientTape() as tape:
        value = tf.add_n([one.regularizer(one.value) for one in kernels])
    return value, tape.gradient(value, [one.value for one in kernels])


def stacked(kernels):
    """The same, of one stack for all kernels of a shape."""
    shapes = collections.defaultdict(list)
    for number, kernel in enumerate(kernels):
        shapes[kernel.shape].append(number)
    value, gradients = 0.0, [None] * len(kernels)
    for shape, numbers in shapes.items():
        same = [kernels[number] for number in numbers]
        stack = tf.stack([gram.matrix(kernel.value) for kernel in same])
        factors = [x.regularizer.factor * x.regularizer.weight for x in same]
        factors = tf.constant(factors)[:, None, None]
        tall = gram.is_of_filters(stack[0], "smaller")
        products = tf.matmul(
            stack, stack, transpose_a=tall, transpose_b=not tall
        )
        error = products - tf.eye(products.shape[-1])
        slope = 2.0 * factors * tf.sign(error)
        pair = (stack, slope) if tall else (slope, stack)
        value += tf.reduce_sum(factors * tf.abs(error))
        for number, one in zip(
            numbers, tf.unstack(tf.matmul(*pair)), strict=True
        ):
            gradients[number] = tf.reshape(one, shape)
    return value, gradients


def measure(net, rounds):
    """The table's row of one net."""
    _, model = orthoreg_step.step(net, orthoreg_step.STRENGTH)
    kernels = [one.variable for one in filters.of(model)]
    kernels = [kernel for kernel in kernels if kernel.regularizer]
    calls = [
        tf.function(lambda way=way: way(kernels), autograph=False)
        for way in (one_by_one, stacked)
    ]
    ours, theirs = (tf.nest.flatten(call()) for call in calls)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    pairs = []
    for number in range(rounds):
        turn = calls if number % 2 else calls[::-1]
        seen = [clock.timed(call)[1] for call in turn]
        pairs.append(seen if number % 2 else seen[::-1])
    own, stack = (
        [1000 * statistics.median(times) for times in zip(*side, strict=True)]
        for side in zip(*pairs, strict=True)
    )
    ratio = statistics.median(a[0] / b[0] for a, b in pairs)
    shapes = len({kernel.shape for kernel in kernels})
    return (
        *(net, len(kernels), shapes),
        *(f"{own[0]:.1f}", f"{stack[0]:.1f}", f"{ratio:.2f}"),
        *(f"{own[1]:.1f}", f"{stack[1]:.1f}"),
    )


def main():
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = [measure(net, given.rounds) for net in orthoreg_step.NETS]
    path = pathlib.Path(__file__).parent / "results" / "orthoreg_shapes.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    for row in rows:
        print(*row)


if __name__ == "__main__":
    main()
