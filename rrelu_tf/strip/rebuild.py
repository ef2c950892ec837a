"""The narrower model: the graph again, with only the live channels."""

import dataclasses
from typing import Any

import keras
import numpy as np

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip.graph import fresh_input, trace
from rrelu_tf.strip.liveness import analyse
from rrelu_tf.strip.rules import Call, rule_of
from rrelu_tf.strip.rules.index_maps import positions
from rrelu_tf.strip.stripped import Stripped


def strip(model):
    """Removes the dead channels: the same function from a smaller model.

    Dead-channel elimination over the graph: a channel goes if it is exactly 0
    for every input, or if no output depends on it. What the rules do not know
    is kept whole. See "How it works" in the README.

    Args:
        model: a functional or built Sequential `keras.Model`, for instance
            what `rrelu_tf.mask` returned. It is left as it is.

    Returns:
        A new functional model with equal outputs, of the same layer names,
        input and output shapes, which trains on like any other once compiled.
        `rrelu_tf.kept` tells what it kept.

    Raises:
        UserError: a model without a graph (subclassed, or not built).
    """
    graph = trace(model)
    build = _Build(graph, analyse(graph))
    for node in graph.nodes:
        if any(build.live.read[tensor] for tensor in node.outputs):
            build.add(node)
    return build.finish(model)


@dataclasses.dataclass(frozen=True)
class _Rebuilt:
    """A tensor of the new model and the source's channels that it holds.

    A channel that no reader knows has -1 in `holds`. `maker` is the key of
    the source's node that makes it.
    """

    tensor: Any
    holds: np.ndarray
    maker: str | None = None
    gather_name: str | None = None


class _Build:
    """The new model as far as it is built."""

    def __init__(self, graph, live):
        self.graph = graph
        self.live = live
        self.rebuilt = {}
        for tensor in graph.inputs:
            holds = np.arange(graph.channels(tensor))
            self.rebuilt[tensor] = _Rebuilt(fresh_input(graph, tensor), holds)
        self.inputs = [self.rebuilt[t].tensor for t in graph.inputs]
        self.kept = {}
        self._kept_before = getattr(graph.model, "kept", None) or {}
        self._layers = {}
        self._gathered = {}
        self._names = {tensor.name for tensor in self.inputs}
        self._names |= {node.key for node in graph.nodes}

    def add(self, node):
        """Builds the narrower twin of one node."""
        live = [self.live.live[tensor] for tensor in node.outputs]
        zero = [self.live.zero[tensor] for tensor in node.inputs]
        call = Call(self.graph, node, zero, live)
        rule = rule_of(call)
        call.have = [
            None if need is None else self._known(tensor)
            for tensor, need in zip(node.inputs, rule.needed(call), strict=True)
        ]
        call.alive = [self.live.alive[tensor] for tensor in node.outputs]
        twin = rule.twin(call)
        tensors = [
            None if want is None else self._align(tensor, want, node.key)
            for tensor, want in zip(node.inputs, twin.inputs, strict=True)
        ]
        if twin.layer is None:
            outputs = [tensor for tensor in tensors if tensor is not None]
            self._names.discard(node.key)
        else:
            # A layer that is called more than once stays one layer.
            twin.layer = self._layers.setdefault(id(node.layer), twin.layer)
            outputs = node.call(twin.layer, tensors)
            _assign(node.layer, twin)
            self._record(node.key, node.key, twin.outputs[0])
        for number, tensor, holds in zip(
            node.outputs, outputs, twin.outputs, strict=True
        ):
            self.rebuilt[number] = _Rebuilt(
                tensor, holds, node.key, twin.gather_name
            )

    def _record(self, name, maker, channels):
        """Notes what a layer holds, as indices into the first source."""
        before = self._kept_before.get(maker)
        self.kept[name] = [
            before[channel] if before else channel
            for channel in channels.tolist()
        ]

    def _known(self, tensor):
        """The source's channels in a rebuilt tensor, one at the least."""
        holds = self.rebuilt[tensor].holds
        known = holds[holds >= 0]
        return known if known.size else np.flatnonzero(self.live.alive[tensor])

    def finish(self, model):
        """The new model, its outputs as wide as the source's."""
        outputs = [
            self._align(
                tensor, np.arange(self.graph.channels(tensor)), "output"
            )
            for tensor in self.graph.outputs
        ]
        stripped = self.graph.assemble(self.inputs, outputs, Stripped)
        if not model.trainable:
            stripped.trainable = False
        stripped.kept = self.kept
        return stripped

    def _align(self, tensor, want, reader):
        """The rebuilt tensor with just the wanted channels, gathered once."""
        have = self.rebuilt[tensor]
        if np.array_equal(want, have.holds):
            return have.tensor
        at = (tensor, tuple(want.tolist()))
        if at not in self._gathered:
            name = self._free_name(have.gather_name or f"{reader}_gather")
            gather = ChannelGather(
                positions(want, have.holds).tolist(),
                name=name,
                dtype=have.tensor.dtype,
            )
            self._gathered[at] = gather(have.tensor)
            self._record(name, have.maker, want)
        return self._gathered[at]

    def _free_name(self, name):
        number = 1
        free = name
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free


def _assign(source, twin):
    """Gives the built twin its weights: sliced ones, or all of the source's."""
    for name, value in twin.weights.items():
        getattr(twin.layer, name).assign(value)
    given = {id(getattr(twin.layer, name)) for name in twin.weights}
    if not given and isinstance(source, keras.layers.Layer):
        twin.layer.set_weights(source.get_weights())
    elif given and given != {id(variable) for variable in twin.layer.variables}:
        raise AssertionError(
            f"The rule for {type(source).__name__} must give every weight."
        )
