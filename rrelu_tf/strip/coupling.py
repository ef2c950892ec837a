"""Which channels are the same ones: tied by Adds, norms and the like.

Channels that meet in an element-wise layer can stay without any gather only
if they come and go together. A tie is a number that they share.
"""

import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.rules import Call, rule_of


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
        of different keys, meet in an Add or the like.
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


def tie(graph, ties, given=None, numbers=None, prefix=""):
    """Numbers the channels of a graph's tensors.

    Args:
        graph: a `strip.graph.Graph`.
        ties: the `Ties` to take numbers from and to join.
        given: per input of the graph, its channels' numbers; new ones if None.
        numbers: dict that gets key -> numbers of each node's first output.
        prefix: what to put before the keys.

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
        made = _tied(call, ties, numbers, prefix)
        for i, tensor in enumerate(node.outputs):
            fresh = made[i] is None
            tensors[tensor] = (
                _fresh(ties, graph.shape(tensor), graph.channel_axis(node))
                if fresh
                else made[i]
            )
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


def _tied(call, ties, numbers, prefix):
    """Per output of a node, its channels' numbers; None for new ones."""
    rule = rule_of(call)
    inner = rule.inside(call)
    if inner is None:
        return rule.tied(call, ties)
    inside = f"{prefix}{call.node.key}/"
    tensors = tie(inner, ties, call.constant, numbers, inside)
    return [tensors[tensor] for tensor in inner.outputs]


def _fresh(ties, shape, axis):
    """New numbers along an axis; none where its size is unknown."""
    if not shape or shape[axis] is None:
        return elements.uniform(0.0, shape)
    return elements.along(ties.new(shape[axis]), axis, len(shape))
