"""The local Lipschitz constant: how fast probabilities change near an image."""

import tensorflow as tf

from rrelu_tf.attacks import ball, draws, objective

# How far from the image the search begins, in standard deviations: at the
# image itself the divergence is least and has no gradient.
START = 0.001
# Keeps the distance from zero.
_OFFSET = 1e-6


def ratio(logits, images, moved, log_p=None):
    """`KL(p(x) || p(x')) / max|x - x' + 1e-6|`, `(batch,)`.

    Args:
        logits: function of images to logits `(batch, classes)`.
        images: x, float `(batch, ...)`.
        moved: x', of the same shape.
        log_p: log-probabilities of x, where they are known already.
    """
    if log_p is None:
        log_p = tf.nn.log_softmax(logits(images))
    log_q = tf.nn.log_softmax(logits(moved))
    divergence = tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), -1)
    pixels = tf.range(1, images.shape.rank)
    distance = tf.reduce_max(tf.abs(images - moved + _OFFSET), pixels)
    return divergence / tf.cast(distance, divergence.dtype)


def local_lipschitz(
    logits,
    images,
    *,
    epsilon,
    step=None,
    steps=20,
    restarts=1,
    seed=0,
    bounds=(0.0, 1.0),
):
    """The greatest `ratio` found in ball and box: a lower bound of the maximum.

    Y. Yang et al., "A Closer Look at Accuracy vs. Robustness", 2020, with the
    Kullback-Leibler divergence of their code: ascent along the sign of the
    gradient from `x + 0.001 * N(0, 1)`. Every point on the way counts, and no
    point leaves the ball or the box.

    Args:
        logits: function of images to logits `(batch, classes)`, in TensorFlow.
        images: float `(batch, ...)`, within the bounds.
        epsilon: L-infinity radius, in the images' units.
        step: how far each pixel moves in a step; None for `epsilon / 4`.
        steps: int, at least 1.
        restarts: int, at least 1: how many starts.
        seed: int, or int32 [2], of the starts.
        bounds: (least, greatest) pixel; None for no clipping.

    Returns:
        Floats `(batch,)`, in nats per unit of the images.

    Raises:
        UserError: for an impossible argument, or images out of bounds.
    """
    ball.check(epsilon, bounds, steps=steps, restarts=restarts)
    images = ball.within(images, bounds)
    log_p = tf.nn.log_softmax(logits(images))

    def project(moved):
        return ball.project(moved, images, epsilon, bounds)

    def value(moved):
        return ratio(logits, images, moved, log_p)

    def attempt(number, greatest):
        start = project(near(images, draws.fold(seed, number)))
        moved, met = objective.climb(
            value,
            start,
            step=epsilon / 4 if step is None else step,
            steps=steps,
            project=project,
        )
        found = tf.maximum(met, value(moved))
        found = tf.ensure_shape(found, greatest.shape)
        return number + 1, tf.maximum(greatest, found)

    zero = tf.zeros(tf.shape(images)[:1], images.dtype)
    return tf.while_loop(
        lambda number, _: number < restarts,
        attempt,
        (0, tf.ensure_shape(zero, images.shape[:1])),
    )[1]


def near(images, seed):
    """The images plus normal noise of deviation `START`: where it begins."""
    return images + START * draws.normal(
        tf.shape(images), draws.pair(seed), images.dtype
    )
