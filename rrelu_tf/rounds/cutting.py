"""One round's pruning: scored, masked, stripped, verified."""

import dataclasses

import keras
import numpy as np

from rrelu_tf.analysis.profile import profile
from rrelu_tf.errors import NothingGoes, UserError
from rrelu_tf.pruning import mask, seed_pruned, select
from rrelu_tf.pruning.procedure import remove
from rrelu_tf.scoring import score
from rrelu_tf.strip import kept, verify


@dataclasses.dataclass(frozen=True)
class Cut:
    """What `cut` made.

    Attributes:
        model: the stripped `keras.Model`; its `kept` is about the channels of
            the net that the first round found.
        masked: the model of the round's widths that it equals.
        first: dict of what the first round found.
        found: dict: layer -> int, the scored channels that the round found.
        left: the same of those that it left.
        asked: dict, the amount that was asked of `rrelu_tf.select`.
        equivalence: what `verify` measured.
    """

    model: keras.Model
    masked: keras.Model
    first: dict
    found: dict
    left: dict
    asked: dict
    equivalence: object


def cut(model, training, plan, number, first, known):
    """Prunes a model by a plan's round.

    Args:
        model: the `keras.Model`.
        training: `tf.data.Dataset` of (images, int labels) batches.
        plan: the `Plan`.
        number: of the round, from 1.
        first: dict of what the first round found, as of `Plan.amount_of`;
            None in the first.
        known: dict: layer -> channels of the first net that `model` kept; None
            in the first round.

    Returns:
        A `Cut`.

    Raises:
        UserError: a model without such scores; an amount that cannot be
            reached, that removes nothing in the first round, or kills every
            way to the output.
        NotEquivalent: the stripped model is not equal to the masked one.
    """
    protocol = "seed" if plan.protocol == "seed" else None
    scores = score(model, plan.score, training, plan.samples, protocol)
    found = {key: len(values) for key, values in scores.items()}
    channels = sum(found.values())
    first = first or _at_first(model, channels)
    asked = plan.amount_of(number, channels, first)
    if protocol:
        return _as_the_authors(model, scores, plan, first, found, asked)
    options = {name: getattr(plan, name) for name in _OPTIONS}
    try:
        keep = _select(model, scores, plan, asked, **options)
    except NothingGoes:
        if number == 1:
            raise
        # A round before took more than it had to.
        keep = {key: np.ones(count, bool) for key, count in found.items()}
    masked, small, proof = remove(model, keep, plan.align, plan.given)
    stayed = kept(small)
    left = {key: len(stayed.get(key, ())) for key in found}
    if known is not None:
        _tell_of_the_first(small, model, known)
    return Cut(small, masked, first, found, left, asked, proof)


_OPTIONS = ("scope", "min_fraction", "round_to", "align")


def _select(model, scores, plan, asked, **options):
    """`select`, whose errors tell of the plan, not of a round's share of it."""
    try:
        return select(scores, model=model, **asked, **options)
    except UserError as error:
        name, value = next(iter(asked.items()))
        rule = str(error).removesuffix(f"{name}={value}")
        if rule == str(error):
            raise
        raise type(error)(rule + plan.given) from error


def _as_the_authors(model, scores, plan, first, found, asked):
    """The OrthoReg authors' choice and net: `pruning.seed_pruned`."""
    keep = _select(model, scores, plan, asked, protocol="seed")
    masked, small = mask(model, keep), seed_pruned(model, keep)
    proof = verify(masked, small)
    left = {key: int(stays.sum()) for key, stays in keep.items()}
    return Cut(small, masked, first, found, left, asked, proof)


def _at_first(model, channels):
    costs = profile(model)
    return {
        "channels": channels,
        "flops": costs.flops,
        "params": costs.params,
    }


def _tell_of_the_first(small, model, known):
    """Makes `kept` one of the first net's channels; new layers have none."""
    axes = getattr(model, "axes", None) or {}
    for key, channels in list(small.kept.items()):
        if key not in known:
            del small.kept[key], small.axes[key]
            continue
        axis = axes.get(key, small.axes[key])
        if axis == small.axes[key]:  # else all of another axis stayed
            # -1: a zero channel, put in by a gather.
            small.kept[key] = [
                known[key][i] if i >= 0 else -1 for i in channels
            ]
        else:
            small.kept[key], small.axes[key] = list(known[key]), axis
