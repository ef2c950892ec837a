"""The square attack: a random search that asks for outputs only."""

import numpy as np
import tensorflow as tf

from rrelu_tf.attacks import ball, draws, objective

# Share of the pixels in the first square, and the queries, of 10,000, after
# which it is halved.
_FIRST_SHARE = 0.8
_HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def square(
    logits,
    images,
    labels,
    *,
    epsilon,
    queries=1000,
    seed=0,
    bounds=(0.0, 1.0),
):
    """Random squares of colour, each kept where it makes the margin smaller.

    M. Andriushchenko et al., "Square Attack: a query-efficient black-box
    adversarial attack via random search", 2020, L-infinity: vertical stripes
    first, then squares of `+-epsilon` per channel at random places, growing
    smaller by their schedule, rescaled to the number of queries. The share of
    the first square is AutoAttack's 0.8. An image counts as done when it is
    classified wrongly; one that is wrong from the start stays as it is.

    Args:
        logits: function of images to logits `(batch, classes)`. No gradient
            is asked for.
        images: float `(batch, height, width, channels)`, within the bounds.
        labels: int `(batch,)`, the classes to lead away from.
        epsilon: L-infinity radius, in the images' units.
        queries: int, at least 1, calls of the model per image after those of
            the image itself.
        seed: int, or int32 [2].
        bounds: (least, greatest) pixel; None for no clipping.

    Returns:
        Images of the same shape.

    Raises:
        UserError: for an impossible argument, or images out of bounds.
    """
    ball.check(epsilon, bounds, queries=queries)
    images = ball.within(images, bounds)
    best, least = _stripes(logits, images, labels, epsilon, seed, bounds)
    sides = tf.constant(_sides(images.shape, queries))

    def ask(query, best, least):
        # Images that are already wrong cost no more calls.
        rows = tf.where(least >= 0)[:, 0]
        centres, now = tf.gather(images, rows), tf.gather(best, rows)
        change = _square(tf.shape(now), sides[query], draws.fold(seed, query))
        moved = now + 2 * epsilon * tf.cast(change, now.dtype)
        moved = ball.project(moved, centres, epsilon, bounds)
        margins = objective.margin(logits(moved), tf.gather(labels, rows))
        better = margins < tf.gather(least, rows)
        rows = tf.boolean_mask(rows, better)[:, None]
        best = tf.tensor_scatter_nd_update(
            best, rows, tf.boolean_mask(moved, better)
        )
        least = tf.tensor_scatter_nd_update(
            least, rows, tf.boolean_mask(margins, better)
        )
        return query + 1, best, least

    def goes_on(query, _, least):
        return (query < queries) & tf.reduce_any(least >= 0)

    return tf.while_loop(goes_on, ask, (1, best, least))[1]


def _stripes(logits, images, labels, epsilon, seed, bounds):
    """(images with stripes where they are right, their margins)."""
    clean = objective.margin(logits(images), labels)
    batch, _, width, channels = tf.unstack(tf.shape(images))
    signs = draws.signs(
        [batch, 1, width, channels], draws.fold(seed, 0), images.dtype
    )
    striped = ball.clip(images + epsilon * signs, bounds)
    margins = objective.margin(logits(striped), labels)
    wrong = clean < 0
    best = tf.where(wrong[:, None, None, None], images, striped)
    return best, tf.where(wrong, clean, margins)


def _sides(shape, queries):
    """Side of the square of each query, int32 [queries], in pixels."""
    _, height, width, _ = shape
    asked = np.arange(queries) * 10_000 // queries
    halvings = sum((asked > number).astype(int) for number in _HALVED_AFTER)
    share = _FIRST_SHARE / 2.0**halvings
    sides = np.round(np.sqrt(share * height * width))
    return np.clip(sides, 1, min(height, width)).astype(np.int32)


def _square(shape, side, seed):
    """-1 or 1 in a square of each image, the same per channel; 0 elsewhere."""
    batch, height, width, channels = tf.unstack(shape)
    inside = []
    for number, length in enumerate((height, width)):
        first = draws.uniform(
            [batch, 1],
            draws.fold(seed, number),
            0,
            length - side + 1,
            tf.int32,
        )
        places = tf.range(length)
        inside.append((places >= first) & (places < first + side))
    window = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    signs = draws.signs([batch, 1, 1, channels], draws.fold(seed, 2), tf.int32)
    return tf.where(window, signs, 0)
