"""Stratified splits: exact, disjoint, decided by a seed."""

import numpy as np

from rrelu_tf.errors import UserError


def stratified(labels, fraction, seed):
    """Splits positions into a rest and a held-out part, class by class.

    The held-out part has `round(fraction * n)` examples. Every class gives its
    share rounded down, and the classes with the largest remainders one more.

    Args:
        labels: int [n].
        fraction: of the examples to hold out, in [0, 1).
        seed: int in [0, 2**32).

    Returns:
        Two int64 arrays of ascending positions: the rest, the held-out part.

    Raises:
        UserError: when a class would have no example left in the rest, or
            nothing would be held out although `fraction` is above 0.
    """
    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    shares = _shares(counts, fraction)
    if fraction > 0 and not shares.sum():
        raise UserError(
            "the split must hold out at least one of the "
            f"{len(labels)} examples. Received: validation_split={fraction}"
        )
    empty = classes[shares == counts]
    if len(empty):
        raise UserError(
            "the split must leave every class a training example; it leaves "
            f"class {empty[0]} none. Received: validation_split={fraction}"
        )
    # RandomState's stream is frozen for good; Generator's may change.
    random = np.random.RandomState(seed)
    held_out = np.zeros(len(labels), bool)
    for label, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(labels == label)
        held_out[random.permutation(members)[:share]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _shares(counts, fraction):
    """How many each class gives: largest remainders, ties to the first."""
    exact = counts * fraction
    shares = np.floor(exact).astype(np.int64)
    missing = round(counts.sum() * fraction) - shares.sum()
    order = np.argsort(shares - exact, kind="stable")
    shares[order[:missing]] += 1
    return shares
