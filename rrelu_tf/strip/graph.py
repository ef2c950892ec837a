"""A functional model as plain nodes and tensor numbers.

The only file that touches Keras's private graph attributes.
"""

import collections
import contextlib
import dataclasses
import functools
import inspect
import sys
from typing import Any

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2


@dataclasses.dataclass(frozen=True)
class Node:
    """One call of one layer (or other Keras operation).

    Attributes:
        layer: the Keras layer or operation.
        key: its name.
        inputs: numbers of the tensors that it reads, in call order.
        outputs: numbers of the tensors that it makes.
        arguments: Keras's record of the call's arguments.
        shared: whether the model calls the layer more than once, and the
            layer has weights that all its calls must agree on.
        training: whether the call itself says `training=True`, so that the
            layer trains wherever the model is called without an own word.
    """

    layer: Any
    key: str
    inputs: list
    outputs: list
    arguments: Any
    shared: bool
    training: bool = False

    def call(self, layer, tensors, constants=None):
        """Calls `layer` as this node's was called, on other tensors.

        Args:
            layer: the layer to call.
            tensors: one tensor for each of `inputs`; None leaves an element
                of a list argument out.
            constants: position among `constants` -> new array.

        Returns:
            The flat list of outputs.
        """
        supply = iter(tensors)
        places = {id(old): at for at, old in enumerate(self.constants)}
        marker = object()

        def substitute(argument):
            if isinstance(argument, keras.KerasTensor):
                tensor = next(supply)
                return marker if tensor is None else tensor
            at = places.get(id(argument))
            return (constants or {}).get(at, argument)

        args, kwargs = self.arguments.convert(substitute)
        if any(tensor is None for tensor in tensors):
            args = [_without(marker, argument) for argument in args]
            kwargs = {k: _without(marker, v) for k, v in kwargs.items()}
        return keras.tree.flatten(layer(*args, **kwargs))

    @property
    def constants(self):
        """Arrays among the call's arguments, in order."""
        given = keras.tree.flatten([self.arguments.args, self.arguments.kwargs])
        return [argument for argument in given if _is_array(argument)]

    def operands(self):
        """The positional arguments of an element-wise operation.

        Returns:
            List of ("tensor", input number), ("array", position among
            `constants`) or ("scalar", number).
        """
        found, tensors, arrays = [], 0, 0
        for argument in keras.tree.flatten(list(self.arguments.args)):
            if isinstance(argument, keras.KerasTensor):
                found.append(("tensor", tensors))
                tensors += 1
            elif _is_array(argument):
                found.append(("array", arrays))
                arrays += 1
            else:
                found.append(("scalar", argument))
        return found


def _trains(node):
    if not node.arguments.kwargs.get("training"):
        return False
    # Keras writes down what a layer's own signature says, too (Resizing's).
    said = inspect.signature(node.operation.call).parameters.get("training")
    return said is None or said.default is not True


def _is_array(argument):
    return (
        not isinstance(argument, keras.KerasTensor)
        and hasattr(argument, "shape")
        and hasattr(argument, "dtype")
    )


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
        fold: whether known numbers may go into biases, which rounds them.
        couple: whether channels that meet stay if any of them does.
        learned: (id of a node, name) -> what a rule found out about the node.
    """

    model: keras.Model
    nodes: list
    inputs: list
    outputs: list
    tensors: list
    name: str
    fold: bool = False
    couple: bool = False
    learned: dict = dataclasses.field(default_factory=dict, compare=False)

    def shape(self, tensor):
        """A tensor's shape without the batch; None for unknown sizes."""
        return tuple(self.tensors[tensor].shape[1:])

    def channel_axis(self, node):
        """The axis of a node's channels, not counting the batch: 0 or -1.

        Of a layer whose own arguments do not tell, the last.
        """
        if getattr(node.layer, "data_format", None) == "channels_first":
            return 0
        is_layer = isinstance(node.layer, keras.layers.Layer)
        axis = getattr(node.layer, "axis", -1) if is_layer else -1
        return axis - 1 if isinstance(axis, int) and axis > 0 else -1

    def channels(self, node):
        """Number of a node's channels; 1 if unknown."""
        shape = self.shape(node.outputs[0])
        return (shape[self.channel_axis(node)] or 1) if shape else 1

    def consumers(self):
        """tensor number -> the nodes that read it."""
        readers = {tensor: [] for tensor in range(len(self.tensors))}
        for node in self.nodes:
            for tensor in node.inputs:
                readers[tensor].append(node)
        return readers

    def calls_of(self, node):
        """The nodes of the same layer, in order."""
        return [other for other in self.nodes if other.layer is node.layer]

    def repeated(self, node):
        """Whether the node's layer is called more than once."""
        return len(self.calls_of(node)) > 1

    def called_alike(self, node):
        """Whether all calls of the node's layer are of the same shapes."""
        shapes = [
            [self.shape(tensor) for tensor in (*call.inputs, *call.outputs)]
            for call in self.calls_of(node)
        ]
        return all(shape == shapes[0] for shape in shapes)

    def assemble(self, inputs, outputs, model_class=keras.Model):
        """A model of this one's nested structure on other tensors.

        Args:
            inputs: new tensors for `self.inputs`.
            outputs: new tensors for `self.outputs`.
            model_class: `keras.Model` or a functional subclass.

        Returns:
            The new model, of the source's name.
        """
        inputs, outputs = self.structured(inputs, outputs)
        with deep(2 * len(self.nodes)):
            return model_class(inputs, outputs, name=self.name)

    def structured(self, inputs, outputs):
        """Flat inputs and outputs in the nested structure of this model's.

        Args:
            inputs: anything for `self.inputs`, in their order.
            outputs: anything for `self.outputs`.

        Returns:
            (The structure of inputs, that of outputs.)
        """
        model = self.model
        return (
            keras.tree.pack_sequence_as(model._inputs_struct, list(inputs)),
            keras.tree.pack_sequence_as(model._outputs_struct, list(outputs)),
        )

    def rewrite(self, visit, input_dtype=None, model_class=keras.Model):
        """The model again, each call made by `visit`.

        Args:
            visit: function of a `Node` and the new tensors that it reads, in
                call order; returns its new outputs, a list.
            input_dtype: function of an input's number; that of the source if
                None.
            model_class: `keras.Model` or a functional subclass.

        Returns:
            A model of this graph's structure and name.
        """
        made = {}
        for tensor in self.inputs:
            dtype = input_dtype and input_dtype(tensor)
            made[tensor] = fresh_input(self, tensor, dtype)
        inputs = list(made.values())
        for node in self.nodes:
            outputs = visit(node, [made[tensor] for tensor in node.inputs])
            made.update(zip(node.outputs, outputs, strict=True))
        outputs = [made[tensor] for tensor in self.outputs]
        return self.assemble(inputs, outputs, model_class)

    def probe(self, tensors):
        """A model that gives the values of some tensors.

        Args:
            tensors: their numbers.
        """
        symbolic = [self.tensors[tensor] for tensor in tensors]
        with deep(2 * len(self.nodes)):
            return keras.Model(self.model.inputs, symbolic)


@contextlib.contextmanager
def deep(count):
    """Lets Keras follow so many nodes to the start, a few calls for each."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 4 * count)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def trace(model, *, fold=False, couple=False):
    """The graph of a functional or Sequential model.

    Args:
        model: a built `keras.Model` made by the functional API or `Sequential`.
        fold: whether known numbers may go into biases.
        couple: whether channels that meet stay if any of them does.

    Returns:
        A `Graph`. Nested models are single nodes, to be traced in turn.

    Raises:
        UserError: a subclassed or unbuilt model, which has no graph, or one
            of tf_keras.
    """
    if not has_graph(model):
        keras_2.refuse(model)
        raise UserError(
            "Only functional and built Sequential Keras 3 models, without a "
            "`call` of their own, have a graph. "
            f"Received: model={type(model).__name__}"
        )
    name = model.name
    if isinstance(model, keras.Sequential):
        model = model._functional
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
            shared=times[id(node.operation)] > 1
            and bool(getattr(node.operation, "weights", [])),
            training=_trains(node),
        )
        for node in calls
    ]
    outputs = [number(tensor) for tensor in model.outputs]
    order = {id(layer): i for i, layer in enumerate(model.operations)}
    nodes = _topological(nodes, inputs, lambda node: order[id(node.layer)])
    return Graph(model, nodes, inputs, outputs, tensors, name, fold, couple)


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


def walk(graph, prefix=""):
    """Every node, those inside nested models too.

    Yields:
        (the node's `Graph`, the `Node`, its key): `outer/inner` in a nested
        model, which itself comes before what is inside.
    """
    for node in graph.nodes:
        key = prefix + node.key
        yield graph, node, key
        if isinstance(node.layer, keras.Model) and has_graph(node.layer):
            yield from walk(trace(node.layer), f"{key}/")


def layers_of(model, kind):
    """The layers of a class, or classes, those inside nested models too.

    Args:
        model: a functional or built Sequential `keras.Model`.
        kind: what `isinstance` takes.

    Returns:
        dict in forward order: key, `outer/inner` in a nested model -> layer;
        a layer that is called several times has the key of its first call.
    """
    found = {}
    for _, node, key in walk(trace(model)):
        if isinstance(node.layer, kind) and node.layer not in found.values():
            found[key] = node.layer
    return found


def has_graph(layer):
    """Whether a layer is a nested functional or Sequential model.

    A subclass with a `call` of its own may compute anything.
    """
    if isinstance(layer, keras.Sequential):
        return layer.built and type(layer).call is keras.Sequential.call
    functional = _functional_class()
    return isinstance(layer, functional) and type(layer).call is functional.call


@functools.cache
def _functional_class():
    tensor = keras.Input((1,))
    return type(keras.Model(tensor, tensor))


def operation_class(function, *arguments, **options):
    """The class of the graph node that a `keras.ops` function makes."""
    made = keras.tree.flatten(function(*arguments, **options))[0]
    return type(made._keras_history.operation)


def carries_mask(tensor):
    """Whether Keras hands a mask of time steps on with a symbolic tensor."""
    return getattr(tensor, "_keras_mask", None) is not None


def maker_name(tensor):
    """Name of the layer that made a symbolic tensor."""
    return tensor._keras_history.operation.name


def fresh_input(graph, tensor, dtype=None, shape=None):
    """A new model input like an old one, of another dtype or shape if given."""
    old = graph.tensors[tensor]
    shape = graph.shape(tensor) if shape is None else shape
    return keras.Input(
        batch_shape=(old.shape[0], *shape),
        dtype=dtype or old.dtype,
        name=old._keras_history.operation.name,
        sparse=old.sparse,
    )
