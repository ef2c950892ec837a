"""Which channels stay, from scores."""

import numpy as np

from rrelu_tf import seed_protocol
from rrelu_tf.amounts import check_options, one_amount
from rrelu_tf.errors import NothingGoes, UserError
from rrelu_tf.pruning import arguments, budgets, chains, held, seed_selection
from rrelu_tf.pruning.groups import Groups, Order
from rrelu_tf.pruning.masking import mask
from rrelu_tf.strip import coupling, cpu_cost, strip


def select(
    scores,
    *,
    threshold=None,
    sparsity=None,
    flops=None,
    params=None,
    latency=None,
    model=None,
    scope="global",
    min_fraction=0.05,
    round_to=1,
    align="gather",
    reduce="sum",
    protocol=None,
    seed_round=None,
):
    """The channels that stay, by a threshold, a sparsity or a budget.

    Exactly one of `threshold`, `sparsity`, `flops`, `params` and `latency`
    says how many go. Those with the lowest scores go; of equal scores, those
    of the first key and lowest index.

    A budget is a number in (0, 1), the fraction of the model's cost that is
    left, or one above 1, the cost that is left. It is measured on what
    `rrelu_tf.strip(rrelu_tf.mask(model, keep), align=align)` returns, and met
    from below: one channel (or step of `round_to`) less would exceed it. That
    strips the model about 20 times.

    Args:
        scores: dict: layer name -> float array (channels,), as `score` gives.
        threshold: finite, 0 or more; a score that equals it goes. A layer may
            lose all its channels.
        sparsity: in [0, 1), the fraction of the channels that go, their number
            rounded down (and once more by `round_to`).
        flops: a budget of FLOPs, 2 x MACs, as `rrelu_tf.profile` counts them.
        params: a budget of parameters, moving statistics included.
        latency: a budget of CPU time, measured on this machine in turns with
            the model's own, medians; above 1: milliseconds for a batch of 8
            examples, or of the model's fixed batch size. Ends within 5 % of
            the budget, which is also what a measurement may be off by.
        model: the `keras.Model` that was scored. A budget, "couple"
            or "auto" needs it.
        scope: "global" compares the scores of all layers; "layer" takes the
            same fraction of each.
        min_fraction: in [0, 1), what each layer keeps at least, rounded up and
            never nothing. Others lose in its place what a layer may not lose
            (in scope "layer": no others). Does not guard `threshold`.
        round_to: int, 1 or more; the number of channels that a layer keeps is
            rounded up to a multiple of this, or to all of them. So that it
            holds for what `strip` returns, layers whose channels are each
            other's, one to one, as those of a convolution and the depthwise
            one or the norm that alone reads it, then have one mask and one
            score, given `model`; but for `threshold`.
        align: "gather", each channel for itself; "couple": channels that meet
            (`rrelu_tf.strip.coupling`) are a group with one mask and one
            score; `sparsity` counts groups, and scope "layer" takes the layers
            that groups tie together as one. Groups that are tied to what has
            no score, such as an input or an attention, stay and do not count.
            "auto": the one of both selections of which less is left to compute
            (`rrelu_tf.strip.cpu_cost` of what `strip` returns with "auto").
        reduce: "sum", "mean" or "max" of the members' scores in a group.
        protocol: None, or "seed": the OrthoReg authors' choice for one of their
            nets, by `sparsity` and `model`; see `seed_selection.select`. It
            decides `scope` and all that follows.
        seed_round: (k, R) with protocol "seed": round k of R of those that
            together remove the sparsity; or k and the list of thresholds, in
            percent, that end with it. None is the only round.

    Returns:
        dict: layer name -> bool array (channels,), True = keep.

    Raises:
        UserError: an argument outside its range; none or several of the
            five; scores that are not numbers, or do not fit the model; a
            sparsity or budget that cannot be reached, or that removes nothing.
    """
    amounts = {
        "threshold": threshold,
        "sparsity": sparsity,
        "flops": flops,
        "params": params,
        "latency": latency,
    }
    name, amount = one_amount(amounts)
    check_options(scope, align, min_fraction, round_to)
    arguments.check_reduce(reduce)
    arguments.check_model(model, name, align)
    options = {
        "scope": (scope, "global"),
        "min_fraction": (min_fraction, 0.05),
        "round_to": (round_to, 1),
        "align": (align, "gather"),
        "reduce": (reduce, "sum"),
    }
    seed_protocol.check(protocol, **options)
    arguments.check_protocol(protocol, name, amount, model, seed_round)
    scores = arguments.as_arrays(scores)
    arguments.check_scores(scores, model)
    if protocol == "seed":
        return seed_selection.select(scores, amount, model, seed_round)
    options = {
        "scope": scope,
        "min_fraction": min_fraction,
        "round_to": round_to,
    }

    def selected(couple):
        labels = None
        if couple:
            labels = coupling.coupled(model, list(scores))
        elif model is not None and round_to > 1 and name != "threshold":
            labels = chains.chained(model, list(scores))
        groups = Groups(scores, labels, reduce)
        tied = model if couple else None
        return _selected(groups, tied, name, amount, model, align, options)

    if align == "auto":
        return _cheaper(selected, model)
    return selected(align == "couple")


def _selected(groups, tied, name, amount, model, align, options):
    """The masks.

    Args:
        groups: the `Groups` of channels that go together.
        tied: the model if its channels are coupled, else None.
        name: of the amount.
        amount: its value.
        model: the model, or None.
        align: as of `rrelu_tf.strip`, which budgets are measured by.
        options: dict, those of `Order`.
    """
    if name == "threshold":
        return groups.keep(_below(amount, groups, tied), options["round_to"])
    order = _order(groups, tied, options)
    if order.fixed.any() and not len(order.sequence):
        by = held.holders(model, groups, order.fixed)
        raise UserError(
            "Coupled channels go only with all that they are tied to, and no "
            f"scored ones can: they are tied to {by}. "
            f"Received: {name}={amount}"
        )
    if name == "sparsity":
        return _sparse(order, amount)
    return budgets.meet(name, amount, model, order, align=align)


def _cheaper(selected, model):
    """The masks of channels each for itself, or those of coupled ones."""
    keeps = [selected(False)]
    try:
        keeps.append(selected(True))
    except UserError:  # coupled, what is asked may be out of reach
        return keeps[0]
    small = [strip(mask(model, keep), align="auto") for keep in keeps]
    costs = [cpu_cost.nanoseconds(each) for each in small]
    return keeps[int(costs[1] < costs[0])]


def _below(threshold, groups, tied):
    """bool (groups,): those up to a threshold, but for those that are held.

    Args:
        threshold: number.
        groups: the `Groups`.
        tied: the model if its channels are coupled, else None.
    """
    gone = ~(groups.scores > threshold)
    stuck = gone
    while tied is not None and stuck.any() and gone.any():
        stuck = held.held(tied, groups, gone)
        gone = gone & ~stuck
    return gone


def _order(groups, tied, options):
    """The `Order`; of what is tied, without the groups that are held.

    That is found out with all masked that may go. Without those that are held
    others may, so it is tried again.
    """
    order = Order(groups, **options)
    while tied is not None and len(order.sequence):
        gone = np.zeros(len(groups.scores), bool)
        gone[order.sequence] = True
        stuck = held.held(tied, groups, gone)
        if not stuck.any():
            break
        order = Order(groups, fixed=order.fixed | stuck, **options)
    return order


def _sparse(order, sparsity):
    """The masks after the asked fraction is gone."""
    nothing = order.nothing() if sparsity > 0 else None
    if nothing and not len(order.sequence):
        raise UserError(
            f"A sparsity above 0 must remove a channel, and {nothing}. "
            f"Received: sparsity={sparsity}"
        )
    short = order.short(sparsity)
    if short:
        key, most, total = short
        where = f" around {key}" if len(order.blocks) > 1 else ""
        raise UserError(
            f"min_fraction must leave enough to go: at most {most} of {total} "
            f"channels{where} can. Received: sparsity={sparsity}"
        )
    number = order.up_to(sparsity)
    keep = order.keep(number)
    if sparsity > 0 and all(stays.all() for stays in keep.values()):
        reason = (
            f"round_to={order.round_to} puts all {number} back"
            if number
            else "that fraction is less than one channel"
        )
        raise NothingGoes(
            f"A sparsity above 0 must remove a channel, and {reason}. "
            f"Received: sparsity={sparsity}"
        )
    return keep
