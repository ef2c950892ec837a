"""The narrower model: the graph again, with only the live channels."""

import dataclasses
import operator

import keras
import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.alignment import Alignment
from rrelu_tf.strip.cloning import copy_weights
from rrelu_tf.strip.graph import fresh_input
from rrelu_tf.strip.liveness import merged
from rrelu_tf.strip.rules import Call, StandIn, rule_of


def rebuild(graph, live, inputs, *, whole=False, model_class=keras.Model):
    """A model with only what lives of a graph.

    Args:
        graph: its `Graph`.
        live: its `Liveness`.
        inputs: per input, the layout that it will be given.
        whole: whether its outputs are to be as wide as the source's.
        model_class: `keras.Model` or a functional subclass.

    Returns:
        The model, its outputs' layouts, and name -> `alignment.Kept` of what
        its layers hold.
    """
    build = _Build(graph, live)
    build.add_inputs(inputs)
    build.add_nodes()
    model = build.finish(whole, model_class)
    outputs = [build.made.rebuilt[tensor].holds for tensor in graph.outputs]
    return model, outputs, build.made.kept


class _Build:
    """The new model as far as it is built."""

    def __init__(self, graph, live):
        self.graph = graph
        self.live = live
        self.made = Alignment(graph, live)
        self.inputs = []
        self._twins = {}

    def add_inputs(self, layouts):
        """Starts with inputs of these layouts."""
        for tensor, layout in zip(self.graph.inputs, layouts, strict=True):
            shape = tuple(
                size if kept is None else len(kept)
                for size, kept in zip(
                    self.graph.shape(tensor), layout, strict=True
                )
            )
            fresh = fresh_input(self.graph, tensor, shape=shape)
            self.made.start(tensor, fresh, layout)
            self.inputs.append(fresh)

    def add_nodes(self):
        """Builds the twin of every node that is read."""
        for node in self.graph.nodes:
            if self._read(node):
                self._add(node)

    def _read(self, node):
        return any(self.live.read[tensor] for tensor in node.outputs)

    def _add(self, node):
        twin = self._twin(node)
        live = any(self.live.alive[tensor].any() for tensor in node.outputs)
        align = self.made.align if live else self.made.shape
        tensors = [
            None
            if want is None or isinstance(want, StandIn)
            else align(tensor, want, node.key)
            for tensor, want in zip(node.inputs, twin.inputs, strict=True)
        ]
        for i, want in enumerate(twin.inputs):
            if isinstance(want, StandIn):
                given = tensors[want.of]
                tensors[i] = self.made.fill(given, want, node.key)
        if twin.layer is None:
            passed = next(tensor for tensor in tensors if tensor is not None)
            outputs = [passed] * len(node.outputs)
            self.made.free(node.key)
        else:
            if twin.order:
                tensors = [tensors[i] for i in twin.order]
            outputs = node.call(twin.layer, tensors, twin.constants)
            _assign(node.layer, twin)
            self.made.record(twin.layer.name, node, twin.outputs[0])
            for name, kept in twin.kept.items():
                maker = kept.maker and f"{node.key}/{kept.maker}"
                self.made.kept[f"{twin.layer.name}/{name}"] = (
                    dataclasses.replace(kept, maker=maker)
                )
        self.made.add(node, outputs, twin)

    def _twin(self, node):
        """The node's twin; a layer with weights has one for all its calls."""
        if node.shared and id(node.layer) in self._twins:
            return self._twins[id(node.layer)]
        constant = [self.live.constant[tensor] for tensor in node.inputs]
        if node.shared:
            constant = merged(self.graph, node, self.live.constant)
        alive = [self.live.alive[tensor] for tensor in node.outputs]
        call = Call(self.graph, node, constant, alive)
        rule = rule_of(call)
        call.held = [
            None if need is None else self._held(node, i, need, constant[i])
            for i, need in enumerate(rule.needed(call))
        ]
        call.have = [
            None if held is None else self.made.known(tensor, held)
            for tensor, held in zip(node.inputs, call.held, strict=True)
        ]
        twin = rule.twin(call)
        if node.shared:
            self._twins[id(node.layer)] = twin
        elif twin.layer is not None:
            twin.layer = self._once(node, twin.layer)
        return twin

    def _once(self, node, layer):
        """Of a layer without weights, one twin for each way to make it."""
        if not self.graph.repeated(node):
            return layer
        config = {**layer.get_config(), "name": None}
        made = self._twins.setdefault(id(node.layer), [])
        for other, like in made:
            if like == config:
                return other
        if made:
            name = self.made.free_name(node.key)
            layer = type(layer).from_config(
                {**layer.get_config(), "name": name}
            )
        made.append((layer, config))
        return layer

    def _held(self, node, i, need, constant):
        """The layout of a node's input; of a shared layer, what it will be.

        That has constants, too, of this call or of any that is read.
        """
        if not node.shared:
            return self.made.holds(node.inputs[i], need)
        calls = self.graph.calls_of(node)
        tensors = [call.inputs[i] for call in calls if self._read(call)]
        alive = np.logical_or.reduce(
            np.broadcast_arrays(
                need & ~(constant == 0),
                *(self.live.alive[t] for t in tensors),
            )
        )
        return elements.hull(alive, self.graph.shape(tensors[0]))

    def finish(self, whole, model_class):
        """The new model; its outputs as wide as the source's if `whole`."""
        outputs = []
        for tensor in self.graph.outputs:
            shape = self.graph.shape(tensor)
            have = self.made.rebuilt[tensor]
            want = elements.whole(shape) if whole else have.holds
            outputs.append(self.made.align(tensor, want, "output"))
        made = self.graph.assemble(self.inputs, outputs, model_class)
        if not self.graph.model.trainable:
            made.trainable = False
        return made


def _assign(source, twin):
    """Gives the built twin its weights: sliced ones, or all of the source's."""
    if twin.weights is None:
        return
    given = {}
    for name, value in twin.weights.items():
        given[name] = operator.attrgetter(name)(twin.layer)
        given[name].assign(value)
    ids = {id(variable) for variable in given.values()}
    if not ids and isinstance(source, keras.layers.Layer):
        copy_weights(source, twin.layer)
    elif ids and ids != {id(variable) for variable in twin.layer.weights}:
        raise AssertionError(
            f"The rule for {type(source).__name__} must give every weight."
        )
