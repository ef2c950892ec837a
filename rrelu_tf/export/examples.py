"""The images that exported files are compared with their source on."""

import numpy as np

from rrelu_tf.errors import UserError


def images(representative, shape):
    """Representative images, or else 8 of random pixels.

    Args:
        representative: `(n, *shape)` of values 0..255, or None.
        shape: (height, width, channels).

    Returns:
        A float32 array `(n, *shape)`.

    Raises:
        UserError: for images of another shape, out of 0..255, or none.
    """
    if representative is None:
        draw = np.random.default_rng(0)
        return draw.integers(0, 256, (8, *shape)).astype(np.float32)
    try:
        found = np.asarray(representative, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(
            "Representative images must be an array of numbers, or lists of "
            "equal lengths. "
            f"Received: representative={type(representative).__name__}"
        ) from error
    if found.shape[1:] != tuple(shape) or not len(found):
        raise UserError(
            "Representative images must be an array of shape (n, "
            f"{', '.join(map(str, shape))}), n at least 1. "
            f"Received: shape={found.shape}"
        )
    if not (found.min() >= 0 and found.max() <= 255):
        raise UserError(
            "Representative images must have pixels from 0 to 255. Received: "
            f"lowest={found.min():g}, highest={found.max():g}"
        )
    return found


def logits(model, preprocessing, images):
    """What the source makes of them, float32 `(n, classes)`.

    Raises:
        UserError: if they are not finite.
    """
    found = model(preprocessing.normalize(images), training=False)
    found = np.asarray(found, np.float32)
    if not np.isfinite(found).all():
        raise UserError(
            "A model must give finite logits to be exported. "
            f"Received: logits={np.ravel(found)[:3]}"
        )
    return found
