"""Derivatives along directions of the logits, squared, summed by filters.

A function here, called inside a graph, runs the model on a batch of images
and returns

*   the logits, (batch, classes),
*   a function of a direction of theirs, (batch, classes), `of_examples` of
    several, (directions, batch, classes): list, for each layer of `kernels` a
    list of tensors (channels,): of the filters', and the biases' squares, added
    up over the batch and the directions.
"""

import keras
import tensorflow as tf

from rrelu_tf.layers import AugmentedConv2D, Conv2D
from rrelu_tf.scoring import filters, single_pixels
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

    A convolution's gradients by an example along all directions are one
    gradient, of a convolution that makes the channels of all of them: far
    larger products than one direction's. They are in memory at once.

    Args:
        forward: a `Forward` that sees `kernels`.
        kernels: dict: key -> layer.
        images: a batch of images.
        factors: dict: key -> list of what to multiply its weights' squares by.
    """
    logits, calls, deltas_along = _by_outputs(forward, kernels, images)

    kinds = {
        key: [tf.TensorSpec(x.outputs.shape, x.outputs.dtype) for x in seen]
        for key, seen in calls.items()
    }

    def squares(directions):
        found = {
            key: _example_squares(kernels[key], calls[key], deltas)
            for key, deltas in tf.map_fn(
                deltas_along, directions, fn_output_signature=kinds
            ).items()
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
    """Tensors like a layer's weights: squares, added up over the examples.

    Args:
        layer: the layer.
        calls: list of `Seen`, one a call.
        deltas: list of tensors (directions, batch, ...), one a call.
    """
    count, alone = len(filters.weights(layer)), len(calls) == 1
    dense = isinstance(layer, keras.layers.Dense)
    if alone and dense and len(deltas[0].shape) == 3:
        return _dense(layer, calls[0].inputs, deltas[0])[:count]
    if alone and _is_plain(layer):
        return _convolution(layer, calls[0].inputs, deltas[0])[:count]
    return _any(layer, calls, deltas)


def _dense(layer, inputs, deltas):
    """Squares of x d^T, which are x^2 (d^2)^T."""
    dtype = layer.variable_dtype
    squares = tf.reduce_sum(tf.cast(deltas, dtype) ** 2, axis=0)
    kernel = tf.matmul(tf.cast(inputs, dtype) ** 2, squares, transpose_a=True)
    return [kernel, tf.reduce_sum(squares, axis=0)]


def _is_plain(layer):
    """Whether TensorFlow has a layer's gradient as one operation on CPUs."""
    return (
        type(layer) in (keras.layers.Conv2D, Conv2D, AugmentedConv2D)
        and layer.groups == 1
        and set(layer.dilation_rate) == {1}
        and layer.data_format == "channels_last"
    )


def _convolution(layer, inputs, deltas):
    """Squares for all directions at once, example by example."""
    strides = layer.strides
    if single_pixels.skips(layer):
        inputs, strides = single_pixels.read(layer, inputs), (1, 1)
    shape, dtype = layer.kernel.shape, layer.variable_dtype

    def add(sums, example):
        image, delta = example  # (height, width, ...), (directions, ...)
        delta = tf.transpose(delta, (1, 2, 0, 3))
        *size, directions, _ = tf.unstack(tf.shape(delta))
        gradient = tf.raw_ops.Conv2DBackpropFilter(
            input=tf.cast(image[None], delta.dtype),
            filter_sizes=[*shape[:3], directions * shape[3]],
            out_backprop=tf.reshape(delta, [1, *size, directions * shape[3]]),
            strides=[1, *strides, 1],
            padding=layer.padding.upper(),
        )
        gradient = tf.reshape(gradient, [*shape[:3], directions, shape[3]])
        by_bias = tf.reduce_sum(tf.cast(delta, dtype), axis=(0, 1))
        return [
            sums[0] + tf.reduce_sum(tf.cast(gradient, dtype) ** 2, axis=3),
            sums[1] + tf.reduce_sum(by_bias**2, axis=0),
        ]

    zeros = [tf.zeros(shape, dtype), tf.zeros(shape[3:], dtype)]
    deltas = tf.transpose(deltas, (1, 0, 2, 3, 4))
    return tf.foldl(add, (inputs, deltas), zeros)


def _any(layer, calls, deltas):
    """Squares of any layer: one gradient for each example and direction."""
    inputs = [seen.inputs for seen in calls]
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

    def along(sums, deltas):
        return tf.foldl(add, (inputs, deltas), sums)

    return tf.foldl(along, deltas, [tf.zeros_like(w) for w in weights])


def _tape():
    return tf.GradientTape(persistent=True, watch_accessed_variables=False)
