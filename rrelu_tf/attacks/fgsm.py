"""The fast gradient sign method."""

import tensorflow as tf

from rrelu_tf.attacks import ball, objective


def fgsm(logits, images, labels, *, epsilon, bounds=(0.0, 1.0)):
    """One step of `epsilon` along the sign of the loss's gradient.

    `clip(x + epsilon * sign(grad_x cross_entropy(logits(x), label)))`:
    I. Goodfellow et al., "Explaining and Harnessing Adversarial Examples",
    2015.

    Args:
        logits: function of images to logits `(batch, classes)`, in TensorFlow.
        images: float `(batch, ...)`, within the bounds.
        labels: int `(batch,)`, the classes to lead away from.
        epsilon: L-infinity radius, in the images' units.
        bounds: (least, greatest) pixel; None for no clipping.

    Returns:
        Images of the same shape.

    Raises:
        UserError: for an impossible argument, or images out of bounds.
    """
    ball.check(epsilon, bounds)
    images = ball.within(images, bounds)
    _, gradient = objective.with_gradient(
        lambda x: objective.cross_entropy(logits(x), labels), images
    )
    return ball.clip(images + epsilon * tf.sign(gradient), bounds)
