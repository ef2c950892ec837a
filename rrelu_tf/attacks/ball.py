"""Where an attack may go: the L-infinity ball, within the box of pixels."""

import math

import tensorflow as tf

from rrelu_tf.errors import UserError


def check(epsilon, bounds, **positive):
    """Checks what every attack is given.

    Args:
        epsilon: radius of the ball, in the units of the images.
        bounds: (least, greatest) pixel, or None for no box.
        **positive: whole numbers that must be at least 1.

    Raises:
        UserError: for a radius that is not positive and finite, bounds that
            are not in order, or a number less than 1.
    """
    if not 0 < epsilon < math.inf:
        raise UserError(
            f"epsilon must be positive and finite. Received: epsilon={epsilon}"
        )
    if bounds is not None and not bounds[0] < bounds[1]:
        raise UserError(
            f"bounds must be (least, greatest). Received: bounds={bounds}"
        )
    for name, number in positive.items():
        if number < 1:
            raise UserError(
                f"{name} must be at least 1. Received: {name}={number}"
            )


def floating(images):
    """The images as a tensor.

    Raises:
        UserError: if they are whole numbers, which cannot move by fractions.
    """
    images = tf.convert_to_tensor(images)
    if not images.dtype.is_floating:
        raise UserError(
            "images must be floating-point, as the model takes them. "
            f"Received: dtype={images.dtype.name}"
        )
    return images


def clip(images, bounds):
    """The images with every pixel within the bounds; None changes nothing."""
    if bounds is None:
        return images
    return tf.clip_by_value(images, *bounds)


def project(moved, images, epsilon, bounds):
    """The nearest point to `moved` in ball and box.

    Args:
        moved: float `(batch, ...)`.
        images: the centres, of the same shape, within the bounds.
        epsilon: radius of the ball.
        bounds: (least, greatest) pixel, or None for no box.
    """
    moved = tf.clip_by_value(moved, images - epsilon, images + epsilon)
    return clip(moved, bounds)
