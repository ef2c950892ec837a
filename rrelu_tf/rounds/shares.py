"""How much of a net goes in each round."""

import itertools
import operator

from rrelu_tf import seed_protocol


def gone(total, rounds):
    """The share that is gone after each round, of what there was at first.

    By the OrthoReg authors' ratios of what is left (`seed_protocol.ratios`),
    not cut to whole percents.

    Args:
        total: in (0, 1), the share gone after the last.
        rounds: how many there are, at least 1.

    Returns:
        List of floats; the last is `total`.
    """
    stays = [1 - ratio for ratio in seed_protocol.ratios(total, rounds)]
    left = itertools.accumulate(stays, operator.mul)
    return [*(1 - share for share in left)][:-1] + [total]


def of_what_is_left(before, after, found, first):
    """The share that a round takes of what it finds.

    Args:
        before: share that was to be gone before it.
        after: share that is to be gone after it.
        found: channels that it finds.
        first: channels that there were at first.

    Returns:
        Float: what brings `first` to `after` precisely, also where the round
        before rounded down; but the share of `found` alone where that is not
        what was to be left, since stripping took, or held, more.
    """
    wanted = (1 - before) * first
    rounded = 0 <= found - wanted < 1
    return 1 - (1 - after) * first / (found if rounded else wanted)
