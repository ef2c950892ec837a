"""Derivatives along directions of the logits, squared, summed by filters.

A function here, called inside a graph, runs the model on a batch of images
and returns

*   the logits, (batch, classes),
*   a function of a direction of theirs, (batch, classes): list, for each layer
    of `kernels` a list of tensors (channels,): of the filters', and the
    biases' squares, added up over the batch.
"""

import keras
import tensorflow as tf

from rrelu_tf.scoring import filters
from rrelu_tf.scoring.taylor import per_channel
from rrelu_tf.scoring.workers import own_copy

_ZERO = tf.UnconnectedGradients.ZERO


def of_filters(forward, kernels, images, *, per_sample):
    """Squares of sum(w * d/dw) over a filter and its bias, one a channel.

    Args:
        forward: a `Forward` that sees `kernels`.
        kernels: dict: key -> layer.
        images: a batch of images.
        per_sample: whether each example's are squared; if not, their sum.
    """
    logits, calls, deltas_along = _by_outputs(forward, kernels, images)

    def squares(direction):
        deltas = deltas_along(direction)
        terms = [
            sum(
                per_channel(seen.axis, seen.outputs, delta)
                for seen, delta in zip(calls[key], deltas[key], strict=True)
            )
            for key in kernels
        ]
        if per_sample:
            return [[tf.reduce_sum(term**2, axis=0)] for term in terms]
        return [[tf.reduce_sum(term, axis=0) ** 2] for term in terms]

    return logits, squares


def of_batches(forward, kernels, images, *, factors):
    """Squares of each weight's derivative, taken of the batch as a whole.

    Args:
        forward: a `Forward` that sees `kernels`.
        kernels: dict: key -> layer.
        images: a batch of images.
        factors: dict: key -> list of what to multiply its weights' squares by.
    """
    weights = {
        key: [own_copy(weight) for weight in filters.weights(layer)]
        for key, layer in kernels.items()
    }
    with _tape() as tape:
        tape.watch(weights)
        logits = forward(images)

    def squares(direction):
        gradients = tape.gradient(
            logits, weights, direction, unconnected_gradients=_ZERO
        )
        found = {
            key: [tf.square(gradient) for gradient in gradients[key]]
            for key in kernels
        }
        return _by_filter(kernels, found, factors)

    return logits, squares


def of_examples(forward, kernels, images, *, factors):
    """Squares of each weight's derivative, taken of each example.

    Args:
        forward: a `Forward` that sees `kernels`.
        kernels: dict: key -> layer.
        images: a batch of images.
        factors: dict: key -> list of what to multiply its weights' squares by.
    """
    logits, calls, deltas_along = _by_outputs(forward, kernels, images)

    def squares(direction):
        found = {
            key: _example_squares(kernels[key], calls[key], deltas)
            for key, deltas in deltas_along(direction).items()
        }
        return _by_filter(kernels, found, factors)

    return logits, squares


def _by_filter(kernels, squares, factors):
    return [
        filters.summed(
            layer,
            [x * y for x, y in zip(squares[key], factors[key], strict=True)],
        )
        for key, layer in kernels.items()
    ]


def _by_outputs(forward, kernels, images):
    """(logits, key -> its `Seen`s, direction -> key -> their gradients)."""
    calls = {key: [] for key in kernels}
    with _tape() as tape:

        def see(key, seen):
            if key in calls:
                tape.watch(seen.outputs)
                calls[key].append(seen)

        logits = forward(images, see)
    outputs = {key: [x.outputs for x in seen] for key, seen in calls.items()}

    def along(direction):
        return tape.gradient(
            logits, outputs, direction, unconnected_gradients=_ZERO
        )

    return logits, calls, along


def _example_squares(layer, calls, deltas):
    """Tensors like a layer's weights: squares, added up over the examples."""
    inputs = [seen.inputs for seen in calls]
    dense = isinstance(layer, keras.layers.Dense) and len(calls) == 1
    if dense and len(inputs[0].shape) == 2:  # (x d^T)^2 = x^2 (d^2)^T
        squares = tf.cast(deltas[0], layer.variable_dtype) ** 2
        given = tf.cast(inputs[0], layer.variable_dtype) ** 2
        kernel = tf.matmul(given, squares, transpose_a=True)
        bias = tf.reduce_sum(squares, axis=0)
        return [kernel, bias][: len(filters.weights(layer))]
    weights = [tf.convert_to_tensor(v.value) for v in filters.weights(layer)]

    def add(sums, example):
        with _tape() as tape:
            tape.watch(weights)
            outputs = [
                seen.again(x[None], weights)
                for seen, x in zip(calls, example[0], strict=True)
            ]
        gradients = tape.gradient(
            outputs, weights, [delta[None] for delta in example[1]]
        )
        return [a + b**2 for a, b in zip(sums, gradients, strict=True)]

    zeros = [tf.zeros_like(weight) for weight in weights]
    return tf.foldl(add, (inputs, deltas), zeros)


def _tape():
    return tf.GradientTape(persistent=True, watch_accessed_variables=False)
