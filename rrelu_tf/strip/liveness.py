"""Which elements are constant, which are needed, and so which stay."""

import dataclasses

import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.coupling import Ties, tie
from rrelu_tf.strip.rules import Call, rule_of


@dataclasses.dataclass
class Liveness:
    """What a graph's tensors need to hold.

    Arrays are per tensor, in the form that `strip.elements` describes.

    Attributes:
        constant: float: the value that an element has for every model input,
            NaN where it depends on one.
        needed: bool: a reader wants the element in the tensor.
        alive: bool: needed, and not to be had as a constant.
        read: per tensor, bool: whether anything reads it at all.
        axes: per tensor, the axes along which it may get narrower.
        connected: whether an output depends on any input.
    """

    constant: list
    needed: list
    alive: list
    read: list
    axes: list
    connected: bool = False


def analyse(graph, constant=None, alive=None):
    """Dead-channel analysis: constants forwards, then needs backwards.

    Args:
        graph: a `strip.graph.Graph`.
        constant: per input of the graph, what is known of it; nothing if None.
        alive: per output of the graph, bool array of what is wanted of it; None
            wants all, constants too.

    Returns:
        Its `Liveness`.
    """
    known = _constants(graph, constant)
    axes = narrowing(graph)
    if alive is None:
        alive = [elements.uniform(True, graph.shape(t)) for t in graph.outputs]
        whole = set(graph.outputs)
    else:
        whole = set()
    shared = {}
    numbers = _numbers(graph) if graph.couple else None
    forced = [False] * len(graph.tensors)
    while True:
        wanted = _Wanted(alive, whole, shared, forced, graph.couple)
        live, grown = _needs(graph, known, axes, wanted)
        if graph.couple:
            grown |= _force(live, numbers, forced)
        if not grown:
            return live


@dataclasses.dataclass
class _Wanted:
    """What is to be computed, whatever the graph's readers need.

    Attributes:
        outputs: per output of the graph, bool array.
        whole: numbers of the tensors whose constants are computed, too.
        shared: id of a layer -> per output, what any of its calls computes.
        forced: per tensor, bool array of what is tied to something alive.
        coupled: whether other numbers than 0 are computed, not filled in.
    """

    outputs: list
    whole: set
    shared: dict
    forced: list
    coupled: bool


def _numbers(graph):
    """Per tensor, its channels' groups."""
    ties = Ties()
    return [ties.resolve(numbers) for numbers in tie(graph, ties)]


def _force(live, numbers, forced):
    """Marks what is tied to something alive; whether that is more."""
    groups = set()
    for alive, tied, read in zip(live.alive, numbers, live.read, strict=True):
        if read:
            alive, tied = np.broadcast_arrays(alive, tied)
            groups.update(np.unique(tied[alive]).tolist())
    groups = np.array(sorted(groups - {0}))
    grown = False
    for tensor, tied in enumerate(numbers):
        forced[tensor] = np.isin(tied, groups)
        if live.read[tensor]:
            grown |= bool((forced[tensor] & ~live.alive[tensor]).any())
    return grown


def merged(graph, node, constant):
    """Per input of a shared layer, what all its calls agree on."""
    calls = graph.calls_of(node)
    made = []
    for i in range(len(node.inputs)):
        values = np.broadcast_arrays(*(constant[c.inputs[i]] for c in calls))
        low, high = np.min(values, axis=0), np.max(values, axis=0)
        made.append(np.where(low == high, low, np.nan))
    return made


def _constants(graph, given):
    constant = [None] * len(graph.tensors)
    for i, tensor in enumerate(graph.inputs):
        unknown = elements.uniform(np.nan, graph.shape(tensor))
        constant[tensor] = unknown if given is None else given[i]
    for node in graph.nodes:
        call = Call(graph, node, [constant[tensor] for tensor in node.inputs])
        for tensor, values in zip(
            node.outputs, rule_of(call).constant(call), strict=True
        ):
            constant[tensor] = elements.compress(values)
    return constant


def narrowing(graph, given=None):
    """Per tensor, the axes along which channels lie, not counting the batch.

    Others, such as those of an image, stay whole.

    Args:
        graph: a `strip.graph.Graph`.
        given: per input of the graph, its axes; the last one if None.
    """
    axes = [set()] * len(graph.tensors)
    for i, tensor in enumerate(graph.inputs):
        last = len(graph.shape(tensor)) - 1
        axes[tensor] = {last} - {-1} if given is None else given[i]
    for node in graph.nodes:
        call = Call(graph, node, None)
        found = rule_of(call).axes(call, [axes[t] for t in node.inputs])
        for tensor, those in zip(node.outputs, found, strict=True):
            axes[tensor] = those
    return axes


def _needs(graph, constant, axes, wanted):
    """One pass backwards; (Liveness, whether a shared layer's needs grew).

    All calls of a layer with weights compute what any of them has to.
    """
    needed = [
        elements.uniform(False, graph.shape(t))
        for t in range(len(graph.tensors))
    ]
    live = Liveness(
        constant, needed, [None] * len(needed), [False] * len(needed), axes
    )
    for tensor, alive in zip(graph.outputs, wanted.outputs, strict=True):
        needed[tensor] = needed[tensor] | alive
        live.read[tensor] = True
    grown = False
    for node in reversed(graph.nodes):
        if not any(live.read[tensor] for tensor in node.outputs):
            continue
        outputs = [_settle(live, graph, t, wanted) for t in node.outputs]
        inputs = [constant[tensor] for tensor in node.inputs]
        if node.shared:
            outputs, more = _share(node, outputs, wanted.shared)
            grown |= more
            for tensor, alive in zip(node.outputs, outputs, strict=True):
                live.alive[tensor] = alive
            inputs = merged(graph, node, constant)
        call = Call(graph, node, inputs, alive=outputs)
        for tensor, need in zip(
            node.inputs, rule_of(call).needed(call), strict=True
        ):
            if need is not None:
                live.read[tensor] = True
                need = elements.merge(need, axes[tensor])
                needed[tensor] = needed[tensor] | need
    live.connected = any(needed[tensor].any() for tensor in graph.inputs)
    for tensor in graph.inputs:
        live.read[tensor] = True
        _settle(live, graph, tensor, wanted)
    return live, grown


def _share(node, outputs, shared):
    """What a layer computes in all its calls, and whether that is more."""
    before = shared.get(id(node.layer))
    if before is None:
        shared[id(node.layer)] = outputs
        return outputs, True
    union = [a | b for a, b in zip(outputs, before, strict=True)]
    shared[id(node.layer)] = union
    more = any((a & ~b).any() for a, b in zip(union, before, strict=True))
    return union, more


def _settle(live, graph, tensor, wanted):
    """No reader is left to come: needed, and no constant, or wanted anyway.

    A constant that is not 0 is filled in along one axis: where it takes two to
    tell which elements those are, it is computed. So is a number an example,
    which has no axis.
    """
    needed = elements.compress(live.needed[tensor])
    constant = live.constant[tensor]
    known = constant == 0
    axes = elements.varying(needed) | elements.varying(constant)
    if len(axes) <= 1 and not wanted.coupled:
        known = ~np.isnan(constant)
    whole = tensor in wanted.whole or not graph.shape(tensor)
    alive = needed if whole else needed & ~known
    live.alive[tensor] = alive | wanted.forced[tensor]
    return live.alive[tensor]
