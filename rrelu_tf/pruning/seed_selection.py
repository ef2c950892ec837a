"""protocol="seed": which filters stay, as the OrthoReg authors' code has it."""

import re

import numpy as np

from rrelu_tf import seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.seed_units import by_unit, units

_FIRST = 1e7  # the score of what is to stay


def select(scores, sparsity, model, place=None):
    """The filters that stay in one of the authors' nets.

    Scores of all units stand in one ascending order, and the first of it go.
    What else there is to it depends on the net: see `seed_protocol.table`. Of
    equal scores the first unit's and lowest index go; the authors' order of
    them is that of an unstable sort, which depends on the platform. A unit
    that would lose everything keeps its best.

    Args:
        scores: dict: key -> float array (channels,), of every convolution or
            of every norm, but for the output.
        sparsity: in [0, 1), the share that goes in all rounds together.
        model: the `keras.Model` that was scored: in the first round one of
            the authors' nets, later what `seed_pruned`, or `strip`, made of it.
        place: (k, R), round k of R; or k and the thresholds of the rounds.

    Returns:
        dict: key -> bool array (channels,), True = keep.

    Raises:
        UserError: a model of none of the families or, in a later round, that
            does not know its first widths; scores of other layers; a sparsity
            that removes nothing, or what is protected.
    """
    family = seed_protocol.family(model)
    number, of = seed_protocol.check_place(place)
    found = units(model)
    keys, values = by_unit(found, scores, "scores")
    widths = [unit.width for unit in found]
    firsts = _firsts(found, model, number, place)
    values = _ranked(family.pruning, found, values, firsts)
    plan = seed_protocol.rounds(family, sum(firsts), sparsity, of)
    goes = plan[number - 1].goes(sum(widths))
    _check_protected(family.pruning, firsts, sum(widths), goes, sparsity)
    if sparsity > 0 and goes <= 0:
        raise UserError(
            "A sparsity above 0 must remove a channel, and the authors' whole "
            f"numbers leave none to go. Received: sparsity={sparsity}"
        )
    gone = np.zeros(sum(widths), bool)
    gone[np.argsort(np.concatenate(values), kind="stable")[:goes]] = True
    gone = np.split(gone, np.cumsum(widths)[:-1])
    return dict(
        zip(keys, _kept(family.pruning, found, values, gone), strict=True)
    )


def _firsts(found, model, number, place):
    """The units' widths before the first round."""
    if number == 1:
        return [unit.width for unit in found]
    if not getattr(model, "widths", None):
        raise UserError(
            "Rounds after the first need what seed_pruned or strip made of the "
            f"net, which knows its first widths. Received: seed_round={place} "
            f"of a model={type(model).__name__}"
        )
    return [unit.first for unit in found]


def _ranked(rules, found, values, firsts):
    """The scores that the order is made of, float64."""
    ranked = []
    for unit, own, first in zip(found, values, firsts, strict=True):
        own = np.array(own, "float64")
        if re.fullmatch(rules.copied, unit.conv):
            own = ranked[-1].copy()
        if re.fullmatch(rules.whole, unit.conv):
            own[:] = _FIRST
        if rules.protected is not None:
            own[-_protected(rules, first) :] = _FIRST
        ranked.append(own)
    return ranked


def _protected(rules, first):
    return int(rules.protected * first) + 1


def _check_protected(rules, firsts, total, goes, sparsity):
    if rules.protected is None:
        return
    most = total - sum(_protected(rules, first) for first in firsts)
    if goes > most:
        raise UserError(
            "protocol=seed protects the last filters of each layer: at most "
            f"{most} of {total} can go, and {goes} were to. "
            f"Received: sparsity={sparsity}"
        )


def _kept(rules, found, values, gone):
    """The masks: a unit's count of what goes is taken off its lowest."""
    kept = []
    for unit, own, lost in zip(found, values, gone, strict=True):
        keep = ~lost
        if re.fullmatch(rules.whole, unit.conv):
            keep[:] = True
        elif re.fullmatch(rules.copied, unit.conv):
            keep = kept[-1].copy()
        elif not keep.any():
            keep[np.argsort(own, kind="stable")[-1]] = True
        kept.append(keep)
    return kept
