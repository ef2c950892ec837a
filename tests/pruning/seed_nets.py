"""Small nets of the OrthoReg authors' families, and scores by chance."""

import numpy as np

import rrelu_tf


def small(arch="resnet8_b", **options):
    """A net of three classes."""
    return rrelu_tf.models.create(
        arch, num_classes=3, input_shape=(8, 8, 1), width=0.25, **options
    )


def drawn(model, method="l1"):
    """Scores by chance, all different."""
    rng = np.random.default_rng(0)
    found = rrelu_tf.score(model, method)
    return {key: rng.random(len(values)) for key, values in found.items()}
