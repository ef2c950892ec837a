"""Which channels are the same ones: tied by Adds, norms and the like.

Channels that meet in an element-wise layer can stay without any gather only
if they come and go together. A tie is a number that they share.
"""

import dataclasses

import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.graph import maker_name, trace, walk
from rrelu_tf.strip.rules import Call, rule_of
from rrelu_tf.strip.rules.linear import Channels


class Ties:
    """Numbers from 1 on, joined into groups (a union-find)."""

    def __init__(self):
        self._parents = [0]

    def new(self, count):
        """float (count,): numbers that nothing shares yet."""
        start = len(self._parents)
        self._parents += range(start, start + count)
        return np.arange(start, start + count, dtype="float64")

    def find(self, number):
        """The group's own number."""
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def join(self, arrays):
        """Ties arrays of numbers, which broadcast, place by place.

        Args:
            arrays: float arrays; 0 stands for no channel at all.

        Returns:
            The joined numbers, of the arrays' common shape.
        """
        arrays = np.broadcast_arrays(*arrays)
        joined = np.max(arrays, axis=0)
        for array in arrays:
            pairs = np.stack([array.ravel(), joined.ravel()], axis=1)
            for a, b in np.unique(pairs[(pairs > 0).all(axis=1)], axis=0):
                self._parents[self.find(int(a))] = self.find(int(b))
        return joined

    def resolve(self, numbers):
        """The groups' own numbers, as ints; 0 stays 0."""
        flat, back = np.unique(numbers, return_inverse=True)
        found = np.array([self.find(int(x)) for x in flat], int)
        return found[back].reshape(numbers.shape)


def coupled(model, keys):
    """Which channels of some layers go together.

    Args:
        model: a functional or built Sequential `keras.Model`.
        keys: names of layers, `outer/inner` inside nested models.

    Returns:
        dict: key -> int array (channels,); channels with the same number, also
        of different keys, meet in an Add or the like; 0 is no number that
        two share.
    """
    ties = Ties()
    numbers = {}
    tie(trace(model), ties, numbers=numbers)
    found = {}
    for graph, node, key in walk(trace(model)):
        if key in set(keys) and key not in found:
            axis = graph.channel_axis(node)
            array = numbers[key]
            size = graph.channels(node)
            vector = elements.common(array, axis, size)
            # One that is several channels, by position, is tied to none.
            vector = np.where(np.isnan(vector), ties.new(size), vector)
            found[key] = ties.resolve(vector)
    return {key: found[key] for key in keys if key in found}


@dataclasses.dataclass(frozen=True)
class Origin:
    """What makes some channels, or wants them as they are.

    Attributes:
        text: what to call it: an input, an output, or a layer and its class.
        key: of the layer; None for inputs and outputs.
        maskable: whether a mask of its own can silence it: it is a convolution
            or dense layer.
        groups: ints: the channels' numbers, as `coupled` gives them.
    """

    text: str
    key: str | None
    maskable: bool
    groups: frozenset


def origins(model):
    """What makes the channels that `coupled` numbers: list of `Origin`.

    Inputs and outputs of the model, and layers whose channels are new ones:
    those with kernels, and those that mix channels or that no rule knows.
    """
    graph, ties, made = trace(model), Ties(), []
    tensors = tie(graph, ties, made=made)

    def groups(numbers):
        return frozenset(ties.resolve(numbers).ravel().tolist()) - {0}

    found = [
        Origin(
            f"the input {maker_name(graph.tensors[tensor])}",
            *(None, False, groups(tensors[tensor])),
        )
        for tensor in graph.inputs
    ]
    for key, call, numbers in made:
        kind = type(call.layer).__name__
        maskable = isinstance(rule_of(call), Channels)
        found.append(Origin(f"{key} ({kind})", key, maskable, groups(numbers)))
    found += [
        Origin("an output of the model", None, False, groups(tensors[tensor]))
        for tensor in graph.outputs
    ]
    return found


def tie(graph, ties, given=None, numbers=None, prefix="", made=None):
    """Numbers the channels of a graph's tensors.

    Args:
        graph: a `strip.graph.Graph`.
        ties: the `Ties` to take numbers from and to join.
        given: per input of the graph, its channels' numbers; new ones if None.
        numbers: dict that gets key -> numbers of each node's first output.
        prefix: what to put before the keys.
        made: list that gets (key, `Call`, numbers) where they are new.

    Returns:
        Per tensor, a float array as `strip.elements` describes it.
    """
    tensors = [None] * len(graph.tensors)
    for i, tensor in enumerate(graph.inputs):
        if given is None:
            tensors[tensor] = _fresh(ties, graph.shape(tensor), -1)
        else:
            tensors[tensor] = given[i]
    calls = {}
    for node in graph.nodes:
        call = Call(graph, node, [tensors[t] for t in node.inputs])
        tied = _tied(call, ties, numbers, prefix, made)
        for i, tensor in enumerate(node.outputs):
            tensors[tensor] = tied[i]
            if tied[i] is None:
                axis = graph.channel_axis(node)
                tensors[tensor] = _fresh(ties, graph.shape(tensor), axis)
                if made is not None:
                    made.append((prefix + node.key, call, tensors[tensor]))
        if node.shared and graph.called_alike(node):
            first = calls.setdefault(id(node.layer), node)
            for a, b in zip(
                (*first.inputs, *first.outputs),
                (*node.inputs, *node.outputs),
                strict=True,
            ):
                ties.join([tensors[a], tensors[b]])
        if numbers is not None:
            numbers.setdefault(prefix + node.key, tensors[node.outputs[0]])
    return tensors


def _tied(call, ties, numbers, prefix, made):
    """Per output of a node, its channels' numbers; None for new ones."""
    rule = rule_of(call)
    inner = rule.inside(call)
    if inner is None:
        return rule.tied(call, ties)
    inside = f"{prefix}{call.node.key}/"
    tensors = tie(inner, ties, call.constant, numbers, inside, made)
    return [tensors[tensor] for tensor in inner.outputs]


def _fresh(ties, shape, axis):
    """New numbers along an axis; none where its size is unknown."""
    if not shape or shape[axis] is None:
        return elements.uniform(0.0, shape)
    return elements.along(ties.new(shape[axis]), axis, len(shape))
