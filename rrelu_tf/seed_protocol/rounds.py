"""How many channels go in each round of pruning."""

import dataclasses
import itertools
import math
import numbers

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Round:
    """One round as the authors count it.

    Attributes:
        number: which round, from 1.
        of: how many there are; or the tuple of thresholds.
        ratio: the share of what is there that goes.
        percent: int, how much of the first net stays, cut to a whole number
            each round; 100 less it is in the names of the authors' files.
        sparsity: in [0, 1), what all rounds together are to remove.
        counts: the rule of the family, see `table.Pruning`.
        first: how many channels the first net has.
    """

    number: int
    of: int | tuple
    ratio: float
    percent: int
    sparsity: float
    counts: str
    first: int

    @property
    def place(self):
        """What `rrelu_tf.select` takes as `seed_round`."""
        return self.number, self.of

    def goes(self, total):
        """How many channels of the current net's `total` go.

        In the order of the authors' operations, whose roundings may cost one.
        """
        if self.counts == "share":
            return int(self.ratio * 100 / 100 * total)
        return int((1 - self.percent / 100 * self.first / total) * total)


def rounds(found, first, sparsity, of=1):
    """The authors' rounds for one of their nets.

    Args:
        found: the model's `table.Family`.
        first: int, how many channels the first net has.
        sparsity: in [0, 1), what all rounds together remove.
        of: the number of rounds, or percentages that are gone after each.

    Returns:
        List of `Round`.

    Raises:
        UserError: as `ratios`; a last percentage that is not the sparsity.
    """
    made, percent = [], 100
    for number, ratio in enumerate(ratios(sparsity, of), 1):
        percent = int(percent * (1 - ratio))
        made.append(
            Round(
                number=number,
                of=tuple(of) if isinstance(of, (list, tuple)) else of,
                ratio=ratio,
                percent=percent,
                sparsity=sparsity,
                counts=found.pruning.counts,
                first=first,
            )
        )
    return made


def ratios(sparsity, of=1):
    """The share of what is there that goes in each round, not cut.

    With R rounds `p / (k p + R (1 - p))` in round k, falling; after k rounds
    `R (1 - p) / (k p + R (1 - p))` is left, so after all of them `1 - p`.
    Source: the OrthoReg authors' code.

    Args:
        sparsity: p, in [0, 1).
        of: R, or percentages that are gone after each round; the last one is
            the sparsity.

    Returns:
        List of floats in [0, 1).

    Raises:
        UserError: a number of rounds below 1; percentages that do not rise
            inside (0, 100), or end elsewhere.
    """
    if not isinstance(of, (list, tuple)):
        whole = isinstance(of, numbers.Integral) and not isinstance(of, bool)
        if not whole or of < 1:
            raise UserError(
                "rounds must be a whole number of at least 1. "
                f"Received: rounds={of}"
            )
        p = sparsity
        return [p / (k * p + of * (1 - p)) for k in range(1, of + 1)]
    check_thresholds(of)
    if not math.isclose(of[-1] / 100, sparsity):
        raise UserError(
            "The last of the thresholds must be the sparsity, in percent. "
            f"Received: sparsity={sparsity}, thresholds={list(of)}"
        )
    return [(b - a) / (100 - a) for a, b in itertools.pairwise((0, *of))]


def check_thresholds(thresholds):
    """Refuses thresholds that are not rising percentages in (0, 100)."""
    listed = isinstance(thresholds, (list, tuple))
    fine = (
        listed
        and len(thresholds) > 0
        and all(
            isinstance(t, numbers.Real) and not isinstance(t, bool)
            for t in thresholds
        )
        and rise(thresholds)
    )
    if not fine:
        raise UserError(
            "thresholds must be percentages in (0, 100) that rise from round "
            "to round. Received: thresholds="
            f"{list(thresholds) if listed else thresholds}"
        )


def rise(thresholds):
    """Whether numbers rise inside (0, 100)."""
    return all(a < b for a, b in itertools.pairwise((0, *thresholds, 100)))


def check_place(place):
    """(k, R or thresholds), of what `select` is given as `seed_round`.

    Raises:
        UserError: anything else, or a round that there is not.
    """
    if place is None:
        return 1, 1
    if isinstance(place, (list, tuple)) and len(place) == 2:
        number, of = place
        if isinstance(of, (list, tuple)):
            check_thresholds(of)
            last = len(of)
        else:
            last = of
        whole = all(
            isinstance(x, numbers.Integral) and not isinstance(x, bool)
            for x in (number, last)
        )
        if whole and 1 <= number <= last:
            return number, of
    raise UserError(
        "seed_round must be (k, R), round k of R counted from 1, or k and a "
        f"list of thresholds. Received: seed_round={place}"
    )
