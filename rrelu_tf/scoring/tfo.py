"""The first-order Taylor score of batch normalisations."""

import numpy as np


def tfo(passes, *, beta=True, per_batch=True):
    """(gamma * dL/dgamma + beta * dL/dbeta) squared, per channel of a norm.

    Source: Molchanov et al. (2019), "Importance Estimation for Neural Network
    Pruning", equation 8 with gates at batch normalisations, squares averaged
    over minibatches. The OrthoReg authors' code leaves beta out and squares
    after the mean over all examples: `beta=False, per_batch=False`.

    Args:
        passes: the `Passes` over a model and its data.
        beta: whether the offset counts.
        per_batch: whether the squares of batches' means are averaged; if not,
            the mean over all examples is squared.

    Returns:
        dict: key of each batch normalisation with a scale -> float64
        (channels,), in squared nats.
    """
    terms = passes.taylor.norms if beta else passes.taylor.gammas
    return {
        key: (
            moments.batch_squares / moments.examples
            if per_batch
            else np.square(moments.total / moments.examples)
        )
        for key, moments in terms.items()
    }
