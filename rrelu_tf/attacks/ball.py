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


def within(images, bounds):
    """The images as a tensor, `floating` and within the bounds.

    The last digits of a rounding are forgiven: a hundred-thousandth of the
    range. In a graph what is outside ends the call with TensorFlow's own error.

    Raises:
        UserError: if they are not: normalised images have other bounds.
    """
    images = floating(images)
    if bounds is None:
        return images
    least, greatest = tf.reduce_min(images), tf.reduce_max(images)
    slack = 1e-5 * (bounds[1] - bounds[0])
    inside = (least >= bounds[0] - slack) & (greatest <= bounds[1] + slack)
    rule = f"images must lie within the bounds {bounds[0]} to {bounds[1]}."
    if not tf.executing_eagerly():
        tf.debugging.Assert(inside, [rule, "Received:", least, "to", greatest])
    elif not inside:
        raise UserError(f"{rule} Received: images={least:g} to {greatest:g}")
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
