"""A model and the models nested in it, with what is alive in each."""

import numpy as np

from rrelu_tf.strip import elements, nested
from rrelu_tf.strip.graph import trace
from rrelu_tf.strip.liveness import analyse
from rrelu_tf.strip.rules import Call, rule_of


class Level:
    """The graph of a model, or of a nested one as it is called.

    Attributes:
        graph: its `Graph`.
        live: its `Liveness`.
        prefix: what stands before the keys of its nodes.
    """

    def __init__(self, graph, live, prefix="", outer=None, at=None):
        self.graph = graph
        self.live = live
        self.prefix = prefix
        self._outer = outer
        self._at = at
        self._consumers = graph.consumers()
        self._inner = {}
        self._rules = {}
        for node in graph.nodes:
            if self.read(node):
                found = nested.inside(graph, live, node)
                if found:
                    inner = Level(*found, f"{self.key(node)}/", self, node)
                    self._inner[id(node)] = inner

    def key(self, node):
        """The node's name, `outer/inner` inside nested models."""
        return self.prefix + node.key

    def inner(self, node):
        """The `Level` inside a nested model; None for other layers."""
        return self._inner.get(id(node))

    def read(self, node):
        """Whether anything reads what the node makes."""
        return any(self.live.read[tensor] for tensor in node.outputs)

    def rule(self, node):
        """The rule for a node."""
        if id(node) not in self._rules:
            self._rules[id(node)] = rule_of(self._call(node))
        return self._rules[id(node)]

    def barrier(self, node):
        """Why a node's layer needs every channel, as it is called here."""
        return self.rule(node).barring(self._call(node))

    def _call(self, node):
        constant = [self.live.constant[tensor] for tensor in node.inputs]
        return Call(self.graph, node, constant)

    def channels(self, node, array):
        """A tensor's float array, along the channels of a node's output."""
        axis, size = self.graph.channel_axis(node), self.graph.channels(node)
        if array.ndim == 0:
            return np.reshape(array, 1)
        return elements.common(array, axis, size)

    def alive(self, node):
        """bool (channels,): which of a node's channels are computed."""
        array = self.live.alive[node.outputs[0]]
        if array is None or array.ndim == 0:
            return np.full(self.graph.channels(node), bool(array))
        axis = self.graph.channel_axis(node)
        return elements.vector(array, axis, self.graph.channels(node))

    def wanted(self, node, tensor, size):
        """bool (size,): which channels of a tensor a node needs.

        All where they are not as many as the tensor has, or where other calls
        of the node's layer need them.
        """
        axis = self.graph.channel_axis(node)
        shape = self.graph.shape(tensor)
        if node.shared or not shape or shape[axis] != size:
            return np.ones(size, bool)
        constant = [self.live.constant[each] for each in node.inputs]
        alive = [self.live.alive[each] for each in node.outputs]
        call = Call(self.graph, node, constant, alive)
        wanted = np.zeros(size, bool)
        for read, need in zip(
            node.inputs, self.rule(node).needed(call), strict=True
        ):
            if read == tensor and need is not None:
                wanted = wanted | elements.vector(need, axis, size)
        return wanted

    def walk(self):
        """Every (level, node), what is inside right after its model."""
        for node in self.graph.nodes:
            yield self, node
            if self.inner(node):
                yield from self.inner(node).walk()

    def readers(self, tensor):
        """(level, node) of all that read a tensor, inside and outside.

        The node is None where the tensor is an output of the whole model.
        """
        for node in self._consumers[tensor]:
            inner = self.inner(node)
            if inner is None:
                yield self, node
                continue
            for given, taken in zip(
                node.inputs, inner.graph.inputs, strict=True
            ):
                if given == tensor:
                    yield from inner.readers(taken)
        for made, place in enumerate(self.graph.outputs):
            if place == tensor and self._outer is None:
                yield self, None
            elif place == tensor:
                yield from self._outer.readers(self._at.outputs[made])


def levels(model, align="gather"):
    """The outermost `Level` of a functional or built Sequential model.

    Args:
        model: the model.
        align: as of `rrelu_tf.strip`.
    """
    graph = trace(model, couple=align == "couple")
    return Level(graph, analyse(graph))


def alive(top):
    """What is computed of the channels of a model's layers.

    Args:
        top: its outermost `Level`.

    Returns:
        dict: key -> bool (channels,): what any call of the layer computes.
    """
    found = {}
    for level, node in top.walk():
        made, key = level.alive(node), level.key(node)
        before = found.get(key, np.zeros_like(made))
        found[key] = made | before if len(made) == len(before) else made
    return found
