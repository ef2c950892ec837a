"""What attacks make greater or smaller, and its gradient."""

import tensorflow as tf


def cross_entropy(logits, labels):
    """Losses `(batch,)` of logits `(batch, classes)`, int labels `(batch,)`."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def margin(logits, labels):
    """The label's logit minus the greatest other one, `(batch,)`.

    Negative where the classifier is wrong. Unlike cross-entropy it does not
    saturate, so that it also leads an attack on very confident classifiers.
    """
    is_label = tf.one_hot(labels, tf.shape(logits)[-1], True, False, dtype=bool)
    others = tf.where(is_label, logits.dtype.min, logits)
    own = tf.gather(logits, labels, axis=-1, batch_dims=1)
    return own - tf.reduce_max(others, -1)


def negative_margin(logits, labels):
    """A loss: the other way round than `margin`."""
    return -margin(logits, labels)


def has_no_gradient(logits, images, labels):
    """Whether the gradient of the cross-entropy is zero, bool `(batch,)`."""
    _, gradient = with_gradient(
        lambda x: cross_entropy(logits(x), labels), images
    )
    return tf.reduce_all(gradient == 0, tf.range(1, images.shape.rank))


def with_gradient(objective, images):
    """(values `(batch,)`, their gradient with respect to their images).

    Where nothing leads back to the images, as through a rounding, the gradient
    is zero.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        values = objective(images)
    gradient = tape.gradient(
        values, images, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return values, gradient


def climb(objective, start, *, step, steps, project):
    """Ascent along the sign of the gradient.

    Args:
        objective: function of images to values `(batch,)`, each of its own
            image alone.
        start: float `(batch, ...)`, where it begins.
        step: how far each pixel moves in a step.
        steps: int.
        project: function that brings images back to where they may be.

    Returns:
        (where it ends; the greatest value `(batch,)` met before that).
    """

    def ascend(done, moved, greatest):
        values, gradient = with_gradient(objective, moved)
        moved = project(moved + step * tf.sign(gradient))
        moved = tf.ensure_shape(moved, start.shape)
        return done + 1, moved, tf.maximum(greatest, values)

    least = tf.fill(tf.shape(start)[:1], tf.constant(start.dtype.min))
    least = tf.ensure_shape(least, start.shape[:1])
    _, moved, greatest = tf.while_loop(
        lambda done, *_: done < steps, ascend, (0, start, least)
    )
    return moved, greatest
