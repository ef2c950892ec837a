"""How much goes in each round: the right way, and the OrthoReg authors'."""

from rrelu_tf import seed_protocol
from rrelu_tf.amounts import one_amount
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.seed_units import units


def round_ratios(sparsity=None, *, rounds=1, thresholds=None):
    """The share of what is there that goes in each round.

    `select(scores, sparsity=ratio)` of what the last round left, each round in
    turn, leaves `1 - sparsity`, up to a channel a round. The shares fall from
    round to round, by the OrthoReg authors' formula, but nothing is cut to
    whole percentages.

    Args:
        sparsity: in [0, 1), what all rounds together remove.
        rounds: int, how many there are.
        thresholds: in place of both, rising percentages in (0, 100) that are
            gone after each round.

    Returns:
        List of floats in [0, 1), one a round.

    Raises:
        UserError: numbers outside their range; a sparsity and thresholds.
    """
    return seed_protocol.ratios(*_asked(sparsity, rounds, thresholds))


def seed_rounds(model, sparsity=None, *, rounds=1, thresholds=None):
    """The OrthoReg authors' rounds for one of their nets.

    Args:
        model: one of the authors' nets, or what `seed_pruned` made of it.
        sparsity: as of `round_ratios`.
        rounds: as of `round_ratios`.
        thresholds: as of `round_ratios`.

    Returns:
        List of `seed_protocol.Round`: with `ratio`, `percent` (what is left as
        the authors count it), `goes(total)`, the number of filters of the
        current net that go, and the `sparsity` and `place` that
        `rrelu_tf.select` takes as `sparsity` and `seed_round`.

    Raises:
        UserError: as `round_ratios`; a model of none of the families.
    """
    sparsity, of = _asked(sparsity, rounds, thresholds)
    first = sum(unit.first for unit in units(model))
    return seed_protocol.rounds(
        seed_protocol.family(model), first, sparsity, of
    )


def _asked(sparsity, rounds, thresholds):
    """(sparsity, number of rounds or thresholds)."""
    if thresholds is None:
        _, sparsity = one_amount({"sparsity": sparsity})
        return sparsity, rounds
    if sparsity is not None or rounds != 1:
        raise UserError(
            "thresholds say how many rounds there are and what all remove: no "
            f"other may be given. Received: sparsity={sparsity}, "
            f"rounds={rounds}"
        )
    seed_protocol.check_thresholds(thresholds)
    return thresholds[-1] / 100, thresholds
