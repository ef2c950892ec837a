"""How slopes begin: as tangents of random angles."""

import math
import random

import keras
from keras import ops

from rrelu_tf.errors import UserError

_MEAN = 1.0
_DEVIATION = math.sqrt(3)


@keras.saving.register_keras_serializable(package="rrelu_tf")
class Rotation(keras.initializers.Initializer):
    """Slopes `tan(angle)` of random sign, with the angle around 45 degrees.

    Each slope is +1 or -1 with equal chance, times a draw from the normal
    distribution of mean 1 and standard deviation sqrt(3), truncated to
    `[tan(min_degrees), tan(max_degrees)]`. That deviation is far wider than
    the interval, so the draw is close to uniform on it.

    Source: the authors' code of "Rotate the ReLU to Sparsify Deep Networks
    Implicitly" (Nayak & Kalyani, TMLR 2024), which draws `truncnorm` on
    [tan 35, tan 55] degrees. Theirs is unseeded; here a seed makes the slopes
    reproducible.

    Args:
        min_degrees: smallest angle, in degrees, above 0.
        max_degrees: largest angle, in degrees, below 90.
        seed: an int, or None for one drawn when the initializer is made
            (`keras.utils.set_random_seed` fixes that draw). Each call gives
            the same slopes, as those of Keras's own initializers do.
    """

    def __init__(self, min_degrees=35.0, max_degrees=55.0, seed=None):
        if not 0.0 < min_degrees < max_degrees < 90.0:
            raise UserError(
                "Angles must satisfy 0 < min_degrees < max_degrees < 90. "
                f"Received: min_degrees={min_degrees}, "
                f"max_degrees={max_degrees}"
            )
        if not (seed is None or isinstance(seed, int)):
            raise UserError(
                f"A seed must be an int or None. Received: seed={seed!r}"
            )
        self.min_degrees = float(min_degrees)
        self.max_degrees = float(max_degrees)
        self.seed = seed
        # Python's generator, as in Keras, so that `set_random_seed` rules it.
        self._drawn_seed = random.randint(1, 10**9) if seed is None else seed

    def __call__(self, shape, dtype=None):
        """Slopes of `shape`.

        Args:
            shape: tuple of ints.
            dtype: a float type; Keras's default float type when None.

        Returns:
            A tensor of `shape` and `dtype`.
        """
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        uniform, coin = keras.random.uniform(
            (2, *shape), dtype="float32", seed=self._drawn_seed
        )
        shortest, longest = (
            math.tan(math.radians(degrees))
            for degrees in (self.min_degrees, self.max_degrees)
        )
        low, high = _normal_cdf(shortest), _normal_cdf(longest)
        # Inverse transform sampling: erfinv is the normal quantile's core.
        quantile = ops.erfinv(2 * (low + (high - low) * uniform) - 1)
        size = _MEAN + _DEVIATION * math.sqrt(2) * quantile
        size = ops.clip(size, shortest, longest)
        return ops.cast(ops.where(coin > 0.5, size, -size), dtype)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            "min_degrees": self.min_degrees,
            "max_degrees": self.max_degrees,
            "seed": self.seed,
        }


def _normal_cdf(x):
    return 0.5 * (1 + math.erf((x - _MEAN) / (_DEVIATION * math.sqrt(2))))
