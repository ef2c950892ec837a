"""Projected gradient descent, with restarts."""

import tensorflow as tf

from rrelu_tf.attacks import ball, draws, objective
from rrelu_tf.errors import UserError


def pgd(
    logits,
    images,
    labels,
    *,
    epsilon,
    step=None,
    steps=20,
    restarts=1,
    random_start=True,
    loss=objective.cross_entropy,
    seed=0,
    bounds=(0.0, 1.0),
):
    """Steps along the sign of the loss's gradient, back into ball and box.

    A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial
    Attacks", 2018: it starts anywhere in the ball and its last point counts.

    Args:
        logits: function of images to logits `(batch, classes)`, in TensorFlow.
        images: float `(batch, ...)`, within the bounds.
        labels: int `(batch,)`, the classes to lead away from.
        epsilon: L-infinity radius, in the images' units.
        step: how far each pixel moves in a step; None for `epsilon / 4`.
        steps: int, at least 1.
        restarts: int, at least 1: how many starts; for each image the end
            with the smallest margin is returned.
        random_start: whether to start anywhere in the ball, not in its centre.
        loss: function (logits, labels) to floats `(batch,)`, which is made
            greater: `objective.cross_entropy`, or
            `objective.negative_margin`, which does not saturate.
        seed: int, or int32 [2], of the starts.
        bounds: (least, greatest) pixel; None for no clipping.

    Returns:
        Images of the same shape.

    Raises:
        UserError: for an impossible argument.
    """
    ball.check(epsilon, bounds, steps=steps, restarts=restarts)
    if restarts > 1 and not random_start:
        raise UserError(
            "Without random starts every restart is the same. "
            f"Received: restarts={restarts}"
        )
    images = ball.floating(images)

    def attempt(number):
        start = images
        if random_start:
            noise = draws.uniform(
                tf.shape(images),
                draws.fold(seed, number),
                -epsilon,
                epsilon,
                images.dtype,
            )
            start = ball.clip(images + noise, bounds)
        moved, _ = objective.climb(
            lambda x: loss(logits(x), labels),
            tf.ensure_shape(start, images.shape),
            step=epsilon / 4 if step is None else step,
            steps=steps,
            project=lambda x: ball.project(x, images, epsilon, bounds),
        )
        return moved

    if restarts == 1:
        return attempt(0)
    return _strongest(attempt, restarts, logits, images, labels)


def _strongest(attempt, restarts, logits, images, labels):
    """For each image the attempt that leaves the smallest margin."""

    def compare(number, best, least):
        moved = attempt(number)
        margins = objective.margin(logits(moved), labels)
        ones = [1] * (images.shape.rank - 1)
        stronger = tf.reshape(margins < least, [-1, *ones])
        best = tf.ensure_shape(tf.where(stronger, moved, best), images.shape)
        least = tf.ensure_shape(tf.minimum(margins, least), images.shape[:1])
        return number + 1, best, least

    first = attempt(0)
    margins = objective.margin(logits(first), labels)
    margins = tf.ensure_shape(margins, images.shape[:1])
    _, best, _ = tf.while_loop(
        lambda number, *_: number < restarts, compare, (1, first, margins)
    )
    return best
