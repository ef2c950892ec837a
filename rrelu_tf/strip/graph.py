"""A functional model as plain nodes and tensor numbers.

The only file that touches Keras's private graph attributes.
"""

import collections
import dataclasses
from typing import Any

import keras

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer (or other Keras operation).

    Attributes:
        layer: the Keras layer or operation.
        key: its name.
        inputs: numbers of the tensors that it reads, in call order.
        outputs: numbers of the tensors that it makes.
        arguments: Keras's record of the call's arguments.
        shared: whether the model calls the layer more than once.
    """

    layer: Any
    key: str
    inputs: list
    outputs: list
    arguments: Any
    shared: bool

    def call(self, layer, tensors):
        """Calls `layer` as this node's was called, on other tensors.

        Args:
            layer: the layer to call.
            tensors: one tensor for each of `inputs`; None leaves an element
                of a list argument out.

        Returns:
            The flat list of outputs.
        """
        supply = iter(tensors)
        marker = object()

        def substitute(argument):
            if not isinstance(argument, keras.KerasTensor):
                return argument
            tensor = next(supply)
            return marker if tensor is None else tensor

        args, kwargs = self.arguments.convert(substitute)
        if any(tensor is None for tensor in tensors):
            args = [_without(marker, argument) for argument in args]
            kwargs = {k: _without(marker, v) for k, v in kwargs.items()}
        return keras.tree.flatten(layer(*args, **kwargs))


def _without(marker, argument):
    if isinstance(argument, (list, tuple)):
        return [element for element in argument if element is not marker]
    return argument


@dataclasses.dataclass(frozen=True)
class Graph:
    """A functional model's calls, each after those whose outputs it reads.

    Attributes:
        model: the source model.
        nodes: `Node`s in topological order, without the model's inputs.
        inputs: numbers of the model's input tensors.
        outputs: numbers of the model's output tensors.
        tensors: the symbolic tensors, by number.
        name: the source model's name.
    """

    model: keras.Model
    nodes: list
    inputs: list
    outputs: list
    tensors: list
    name: str

    def channels(self, tensor):
        """Size of the last axis; 1 where it is unknown or the batch."""
        shape = self.tensors[tensor].shape
        return 1 if len(shape) < 2 or shape[-1] is None else shape[-1]

    def consumers(self):
        """tensor number -> the nodes that read it."""
        readers = {tensor: [] for tensor in range(len(self.tensors))}
        for node in self.nodes:
            for tensor in node.inputs:
                readers[tensor].append(node)
        return readers

    def assemble(self, inputs, outputs, model_class=keras.Model):
        """A model of this one's nested structure on other tensors.

        Args:
            inputs: new tensors for `self.inputs`.
            outputs: new tensors for `self.outputs`.
            model_class: `keras.Model` or a functional subclass.

        Returns:
            The new model, of the source's name.
        """
        structures = (self.model._inputs_struct, self.model._outputs_struct)
        inputs, outputs = (
            keras.tree.pack_sequence_as(structure, list(tensors))
            for structure, tensors in zip(
                structures, (inputs, outputs), strict=True
            )
        )
        return model_class(inputs, outputs, name=self.name)


def trace(model):
    """The graph of a functional or Sequential model.

    Args:
        model: a built `keras.Model` made by the functional API or `Sequential`.

    Returns:
        A `Graph`. Nested models are single nodes.

    Raises:
        UserError: a subclassed or unbuilt model, which has no graph.
    """
    name = model.name
    if isinstance(model, keras.Sequential) and model.built:
        model = model._functional
    if not hasattr(model, "_nodes_by_depth"):
        raise UserError(
            "Only functional and built Sequential Keras 3 models have a graph. "
            f"Received: model={type(model).__name__}"
        )
    numbers, tensors = {}, []

    def number(tensor):
        if id(tensor) not in numbers:
            numbers[id(tensor)] = len(tensors)
            tensors.append(tensor)
        return numbers[id(tensor)]

    inputs = [number(tensor) for tensor in model.inputs]
    calls = [
        node
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
        if not node.is_input
    ]
    times = collections.Counter(id(node.operation) for node in calls)
    nodes = [
        Node(
            layer=node.operation,
            key=node.operation.name,
            inputs=[number(t) for t in node.input_tensors],
            outputs=[number(t) for t in node.outputs],
            arguments=node.arguments,
            shared=times[id(node.operation)] > 1,
        )
        for node in calls
    ]
    outputs = [number(tensor) for tensor in model.outputs]
    order = {id(layer): i for i, layer in enumerate(model.operations)}
    nodes = _topological(nodes, inputs, lambda node: order[id(node.layer)])
    return Graph(model, nodes, inputs, outputs, tensors, name)


def _topological(nodes, inputs, preference):
    """Nodes in the order of `model.layers` as far as their inputs allow."""
    ready = set(inputs)
    waiting = sorted(nodes, key=preference)
    ordered = []
    while waiting:
        late = []
        for node in waiting:
            if ready.issuperset(node.inputs):
                ready.update(node.outputs)
                ordered.append(node)
            else:
                late.append(node)
        if len(late) == len(waiting):
            raise AssertionError(f"nothing makes what {late[0].key} reads")
        waiting = late
    return ordered


def clone(layer, **overrides):
    """An unbuilt copy of a layer with other constructor arguments."""
    return type(layer).from_config({**layer.get_config(), **overrides})


def fresh_input(graph, tensor, dtype=None):
    """A new model input like an old one, of another dtype if given."""
    old = graph.tensors[tensor]
    return keras.Input(
        batch_shape=old.shape,
        dtype=dtype or old.dtype,
        name=old._keras_history.operation.name,
        sparse=old.sparse,
    )
