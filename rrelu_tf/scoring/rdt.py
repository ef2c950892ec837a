"""The rate-distortion score: what the predicted probabilities lose."""

import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.scoring import directions, filters, squares
from rrelu_tf.scoring.compiled import compiled


def rdt(
    passes,
    *,
    per_sample=True,
    per_weight=True,
    times_weights=True,
    over_mean=False,
):
    """E_x sum_j p_j (dlog p_j / dw)^2 * w^2, summed over a filter and its bias.

    p is the softmax of the logits; the labels play no part. To second order
    this is twice the divergence KL(p || p') of a net without that weight; a
    filter's sum leaves out what its weights do to each other.

    Dear: one backward pass for each class, fewer where few classes are likely
    (`directions`), and `per_weight` makes a pass twice as long.

    Source: Gao et al. (2019), "Rate Distortion For Model Compression: From
    Theory To Practice", the objective for classification. The OrthoReg authors'
    code takes the means of p and log p over a batch before it squares, leaves
    w^2 out, and divides kernels and biases by their own mean, so that a
    filter's score is about its fan-in:
    `per_sample=False, times_weights=False, over_mean=True`.

    Args:
        passes: the `Passes` over a model and its data.
        per_sample: whether p and log p are an example's; if not, their means
            over a batch.
        per_weight: whether every weight's part is squared by itself; if not,
            the filter's sum(w * dlog p_j / dw), bias included, is: twice the
            divergence without the whole filter.
        times_weights: whether the squares are multiplied by w^2.
        over_mean: whether each variable's squares are divided by their mean.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,).

    Raises:
        UserError: whole filters without w^2, or over means.
    """
    if not per_weight and (over_mean or not times_weights):
        raise UserError(
            "per_weight=False has w inside the square, and no mean over "
            f"weights. Received: times_weights={times_weights}, "
            f"over_mean={over_mean}"
        )
    if not passes.kernels:
        return {}
    function = compiled(_batch(passes, per_sample, per_weight, times_weights))
    total, examples = _zeros(passes.kernels, per_weight), np.zeros(())
    most = _EXAMPLES if per_sample and per_weight else None
    for batch, labels in passes.workers.own(passes.examples()):
        for images in _cut(batch, len(labels), most):
            found = [x.numpy().astype("float64") for x in function(images)]
            total = list(map(np.add, total, found))
        examples = examples + len(labels)
    examples, *total = passes.workers.total([examples, *total])
    scores, parts = {}, iter(total)
    for key, layer in passes.kernels.items():
        own = [next(parts) / examples for _ in range(_parts(layer, per_weight))]
        if over_mean:
            own = _over_means(layer, own)
        scores[key] = np.sum(own, axis=0)
    return scores


# Whose gradients by all layers' outputs, along so many directions, are in
# memory at once (280 MiB of ResNet-56), and no more than a batch has examples.
_EXAMPLES, _DIRECTIONS = 8, 16


def _together(passes):
    """How many directions are computed at once."""
    return min(_DIRECTIONS, max(passes.batch_size // _EXAMPLES, 1))


def _cut(images, count, most):
    """Parts of a batch of up to `most` examples; None: the whole."""
    step = most or max(count, 1)
    for start in range(0, count, step):
        part = slice(start, start + step)
        yield tf.nest.map_structure(lambda x, p=part: x[p], images)


def _batch(passes, per_sample, per_weight, times_weights):
    """Function of images: the flat list of squares that `squares` tells of."""
    choose = directions.of_examples if per_sample else directions.of_means
    kernels = passes.kernels

    def function(images):
        if per_weight:
            run = squares.of_examples if per_sample else squares.of_batches
            factors = {
                key: [
                    tf.square(v.value) if times_weights else 1.0
                    for v in filters.weights(layer)
                ]
                for key, layer in kernels.items()
            }
            logits, along = run(
                passes.forward, kernels, images, factors=factors
            )
        else:
            logits, along = squares.of_filters(
                passes.forward, kernels, images, per_sample=per_sample
            )
        nothing = 0 * tf.reduce_sum(logits)  # NaN, if one of them is
        zeros = [
            tf.fill(array.shape, nothing)
            for array in _zeros(kernels, per_weight)
        ]
        return directions.accumulate(
            choose(logits),
            lambda step: tf.nest.flatten(along(step)),
            zeros,
            _together(passes) if per_weight and per_sample else None,
        )

    return function


def _zeros(kernels, per_weight):
    """A list of arrays (channels,), of all layers' sums."""
    return [
        np.zeros(filters.channels(layer))
        for layer in kernels.values()
        for _ in range(_parts(layer, per_weight))
    ]


def _parts(layer, per_weight):
    """How many sums a layer has: of its kernel and bias, or of both in one."""
    return len(filters.weights(layer)) if per_weight else 1


def _over_means(layer, parts):
    """Sums over filters of squares that are divided by their mean."""
    sizes = [filters.fan_in(layer), 1]
    means = [
        part.mean() / size for part, size in zip(parts, sizes, strict=False)
    ]
    return [
        part / mean if mean else part
        for part, mean in zip(parts, means, strict=True)
    ]
