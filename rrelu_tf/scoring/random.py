"""Random scores, the control that every other one has to beat."""

import numpy as np

from rrelu_tf.scoring.filters import channels


def random(passes, *, seed=0):
    """Numbers drawn evenly from [0, 1).

    Args:
        passes: the `Passes` over a model; no data are needed.
        seed: int; the same numbers for the same seed and widths.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,).
    """
    generator = np.random.default_rng(seed)
    return {
        key: generator.random(channels(layer))
        for key, layer in passes.kernels.items()
    }
