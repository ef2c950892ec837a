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
            with the smallest margin is returned. Images that are classified
            wrongly are not started again.
        random_start: whether to start anywhere in the ball, not in its centre.
        loss: function (logits, labels) to floats `(batch,)`, which is made
            greater: `objective.cross_entropy`, or
            `objective.negative_margin`, which does not saturate.
        seed: int, or int32 [2], of the starts.
        bounds: (least, greatest) pixel; None for no clipping.

    Returns:
        Images of the same shape.

    Raises:
        UserError: for an impossible argument, or images out of bounds.
    """
    ball.check(epsilon, bounds, steps=steps, restarts=restarts)
    if restarts > 1 and not random_start:
        raise UserError(
            "Without random starts every restart is the same. "
            f"Received: restarts={restarts}"
        )
    images = ball.within(images, bounds)

    labels = tf.convert_to_tensor(labels)

    def attempt(number, centres, labels):
        start = centres
        if random_start:
            noise = draws.uniform(
                tf.shape(centres),
                draws.fold(seed, number),
                -epsilon,
                epsilon,
                centres.dtype,
            )
            start = ball.clip(centres + noise, bounds)
        moved, _ = objective.climb(
            lambda x: loss(logits(x), labels),
            tf.ensure_shape(start, centres.shape),
            step=epsilon / 4 if step is None else step,
            steps=steps,
            project=lambda x: ball.project(x, centres, epsilon, bounds),
        )
        return moved

    if restarts == 1:
        return attempt(0, images, labels)
    return _strongest(attempt, restarts, logits, images, labels)


def _strongest(attempt, restarts, logits, images, labels):
    """For each image the attempt that leaves the smallest margin."""

    def compare(number, best, least):
        rows = tf.where(least >= 0)
        own = tf.gather_nd(labels, rows)
        moved = attempt(number, tf.gather_nd(images, rows), own)
        margins = objective.margin(logits(moved), own)
        stronger = margins < tf.gather_nd(least, rows)
        rows, moved, margins = (
            tf.boolean_mask(each, stronger) for each in (rows, moved, margins)
        )
        best = tf.tensor_scatter_nd_update(best, rows, moved)
        least = tf.tensor_scatter_nd_update(least, rows, margins)
        return number + 1, best, least

    first = attempt(0, images, labels)
    least = objective.margin(logits(first), labels)
    least = tf.ensure_shape(least, images.shape[:1])
    _, best, _ = tf.while_loop(
        lambda number, _, least: (
            (number < restarts) & tf.reduce_any(least >= 0)
        ),
        compare,
        (1, first, least),
    )
    return best
