"""Nested models: the same pass, inside."""

import keras
import numpy as np

from rrelu_tf.strip.graph import trace
from rrelu_tf.strip.liveness import analyse, merged, narrowing
from rrelu_tf.strip.rebuild import rebuild
from rrelu_tf.strip.rules.base import Call, Rule, Twin
from rrelu_tf.strip.rules.table import rule, rule_of


@rule(keras.Model)
class Nested(Rule):
    """A functional or Sequential model as a layer of another one."""

    barrier = None

    def covers(self, call):
        """Called on tensors of the shapes it was made for, as far as known."""
        inner = self.inside(call)
        return len(inner.inputs) == len(call.node.inputs) and all(
            len(inner.shape(tensor)) == len(call.shape_in(i))
            and all(
                size in (None, given)
                for size, given in zip(
                    inner.shape(tensor), call.shape_in(i), strict=True
                )
            )
            for i, tensor in enumerate(inner.inputs)
        )

    def axes(self, call, given):
        """Those of the inner outputs."""
        inner = self.inside(call)
        axes = narrowing(inner, given)
        return [axes[tensor] for tensor in inner.outputs]

    def inside(self, call):
        """The inner graph."""
        graph = call.graph
        return call.once(
            "inside",
            lambda: trace(call.layer, fold=graph.fold, couple=graph.couple),
        )

    def constant(self, call):
        """What the inner graph makes of known inputs."""
        inner = self.inside(call)
        live = analyse(inner, self._known(call, inner))
        return [live.constant[tensor] for tensor in inner.outputs]

    def needed(self, call):
        """What the inner graph needs for the live outputs."""
        inner = self.inside(call)
        live = self.analyse(call, inner)
        return [
            live.needed[tensor]
            if live.read[tensor]
            else np.zeros_like(live.needed[tensor])
            for tensor in inner.inputs
        ]

    def twin(self, call):
        """The inner graph, rebuilt from what there is."""
        inner = self.inside(call)
        live = self.analyse(call, inner)
        model, outputs, kept = rebuild(inner, live, call.have)
        if not call.layer.trainable:
            model.trainable = False
        return Twin(model, call.have, outputs, weights=None, kept=kept)

    def analyse(self, call, inner):
        """The inner graph's `Liveness`, given `call.alive`."""
        alive = [
            _within(alive, inner.shape(tensor))
            for alive, tensor in zip(call.alive, inner.outputs, strict=True)
        ]
        return analyse(inner, self._known(call, inner), alive)

    def _known(self, call, inner):
        """The inputs' constants, along axes that the inner model knows."""
        known = []
        for constant, tensor in zip(call.constant, inner.inputs, strict=True):
            for axis, size in enumerate(inner.shape(tensor)):
                if size is None and constant.shape[axis] > 1:
                    low = constant.min(axis=axis, keepdims=True)
                    high = constant.max(axis=axis, keepdims=True)
                    constant = np.where(low == high, low, np.nan)
            known.append(constant)
        return known


def inside(graph, live, node):
    """What `strip` sees inside a nested model's call.

    Args:
        graph: the outer `Graph`.
        live: its `Liveness`.
        node: one of its nodes, of which an output is read.

    Returns:
        (the inner `Graph`, its `Liveness`); None for a node that is no nested
        model, or one that is kept whole.
    """
    constant = [live.constant[tensor] for tensor in node.inputs]
    if node.shared:
        constant = merged(graph, node, live.constant)
    alive = [live.alive[tensor] for tensor in node.outputs]
    call = Call(graph, node, constant, alive)
    found = rule_of(call)
    inner = found.inside(call)
    return None if inner is None else (inner, found.analyse(call, inner))


def _within(alive, shape):
    """A bool array along axes of known size only."""
    for axis, size in enumerate(shape):
        if size is None and alive.shape[axis] > 1:
            alive = alive.any(axis=axis, keepdims=True)
    return alive
