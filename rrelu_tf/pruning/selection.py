"""Which channels stay, from scores."""

import math

import numpy as np

from rrelu_tf.errors import UserError


def select(scores, *, threshold):
    """The channels that score above a threshold.

    Args:
        scores: dict: layer name -> float array (channels,), as `score` gives.
        threshold: finite, 0 or more; a score that equals it goes.

    Returns:
        dict: layer name -> bool array (channels,), True = keep. A layer may
        lose all its channels.

    Raises:
        UserError: a threshold that is negative, infinite or not a number.
    """
    if not (math.isfinite(threshold) and threshold >= 0):
        raise UserError(
            "A threshold must be a finite number of at least 0. "
            f"Received: threshold={threshold}"
        )
    return {
        key: np.asarray(values) > threshold for key, values in scores.items()
    }
