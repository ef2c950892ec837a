"""The score of OrthoReg: Fisher's, of a network with orthogonal filters."""

from rrelu_tf.scoring.fisher import fisher


def orthoreg(passes, *, per_sample=True):
    """The Fisher score, under the name of the method that it is part of.

    OrthoReg's importance of a group is the sum of its members', which holds
    where filters are orthogonal: `rrelu_tf.regularizers.OrthoReg` while
    training makes them so, the estimate itself is Fisher's.

    Source: Tiwari et al. (arXiv 2009.05014) and the authors' code, where
    pruning type "orthoreg" trains with the regulariser and then calls the
    Fisher estimator.

    Args:
        passes: the `Passes` over a model and its data.
        per_sample: as of `fisher`.

    Returns:
        As `fisher`.
    """
    return fisher(passes, per_sample=per_sample)
