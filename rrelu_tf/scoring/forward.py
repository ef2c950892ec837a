"""A model in evaluation mode, with a look at what its layers compute."""

import dataclasses
import functools
import inspect
from typing import Any

import keras
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.scoring import filters, single_pixels
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import has_graph, operation_class, trace


@dataclasses.dataclass(frozen=True)
class Seen:
    """One call of a layer.

    Attributes:
        inputs: the tensor that it read.
        outputs: what it made of it, before its built-in activation.
        axis: the axis of the outputs' channels, the batch's being 0.
        again: function of other inputs, and of tensors for the layer's
            `filters.weights`, that returns outputs.
    """

    inputs: Any
    outputs: Any
    axis: int
    again: Any


class Forward:
    """A model's logits, `training=False` everywhere.

    Why so: behind a batch's own statistics a kernel's size changes nothing, so
    that the sum of w * dL/dw over a filter would be 0.
    """

    def __init__(self, model, layers):
        """Looks at a model.

        Args:
            model: a functional or built Sequential `keras.Model` whose one
                output is logits, or their softmax, `(batch, classes)`.
            layers: dict: key -> layer to see, inside nested models too.

        Raises:
            UserError: a model of other outputs.
        """
        self._graph = trace(model)
        self._nested = {}
        self._output = self._graph.outputs[0]
        self.classes = _classes(self._graph)
        self._keys = {id(layer): key for key, layer in layers.items()}
        without = [x for x in layers.values() if _has_activation(x)]
        last = self._last()
        if _ends_in_softmax(last) and not _is_softmax(last):
            without.append(last)
        without += filter(single_pixels.skips, layers.values())
        self._twins = {id(x): (x, _simpler(x)) for x in without}

    @property
    def input_shapes(self):
        """Shapes of the model's inputs without the batch; None: any size."""
        return [self._graph.shape(tensor) for tensor in self._graph.inputs]

    def __call__(self, images, see=None):
        """The logits of a batch.

        Args:
            images: a tensor, or a structure like that of the model's inputs.
            see: function of a key and a `Seen`, called for each call of a
                layer to see before anything reads what it made.

        Returns:
            A tensor `(batch, classes)`, of float32 at least.
        """
        images = keras.tree.flatten(images)
        pairs = [
            pair
            for layer, _ in self._twins.values()
            for pair in self._lent(layer)
        ]
        with keras.StatelessScope(pairs):  # and nothing is written
            (logits,) = self._run(self._graph, images, see, self._output)
        double = logits.dtype == tf.float64
        return logits if double else tf.cast(logits, tf.float32)

    def _run(self, graph, tensors, see, logits=None):
        """The outputs; `logits` is the number of the one without softmax."""
        made = {
            number: tf.cast(tensor, graph.tensors[number].dtype)
            for number, tensor in zip(graph.inputs, tensors, strict=True)
        }
        for node in graph.nodes:
            inputs = [made[number] for number in node.inputs]
            outputs = self._call(graph, node, inputs, see, logits)
            made.update(zip(node.outputs, outputs, strict=True))
        return [made[number] for number in graph.outputs]

    def _call(self, graph, node, inputs, see, logits):
        layer = node.layer
        last = logits in node.outputs
        if has_graph(layer):
            inner = self._inner(layer)
            at = inner.outputs[node.outputs.index(logits)] if last else None
            return self._run(inner, inputs, see, at)
        if last and _is_softmax(layer):
            return inputs
        if id(layer) not in self._keys and id(layer) not in self._twins:
            return node.call(_evaluated(layer), inputs)
        _, called = self._twins.get(id(layer), (layer, layer))

        def made(inputs):
            if single_pixels.skips(layer):
                inputs = [single_pixels.read(layer, inputs[0])]
            return node.call(_evaluated(called), inputs)[0]

        def again(inputs, weights):
            with keras.StatelessScope(self._lent(layer, weights)):
                return made([inputs])

        outputs = made(inputs)
        if see is not None and id(layer) in self._keys:
            axis = graph.channel_axis(node)
            axis = axis + 1 if axis >= 0 else len(outputs.shape) - 1
            seen = Seen(inputs[0], outputs, axis, again)
            see(self._keys[id(layer)], seen)
        if _has_activation(layer) and not (last and _ends_in_softmax(layer)):
            # A layer, that masks of time steps go on.
            outputs = keras.layers.Activation(layer.activation)(outputs)
        return [outputs]

    def _inner(self, model):
        if id(model) not in self._nested:
            self._nested[id(model)] = trace(model)
        return self._nested[id(model)]

    def _last(self):
        """The layer that makes the model's output."""
        graph, output = self._graph, self._output
        while True:
            node = next(x for x in graph.nodes if output in x.outputs)
            if not has_graph(node.layer):
                return node.layer
            graph = self._inner(node.layer)
            output = graph.outputs[node.outputs.index(output)]

    def _lent(self, layer, weights=()):
        """Pairs (variable that is called, value) for a layer.

        Args:
            layer: the layer, in whose place a twin may be called.
            weights: tensors for its `filters.weights`, other than its own.
        """
        _, called = self._twins.get(id(layer), (layer, layer))
        own = filters.weights(layer) if weights else []
        given = dict(zip(map(id, own), weights, strict=True))
        return [
            (mine, given.get(id(variable), variable.value))
            for mine, variable in zip(
                called.weights, layer.weights, strict=True
            )
        ]


def _evaluated(layer):
    """The layer, told that it is not being trained, if it asks."""
    if "training" not in inspect.signature(layer.call).parameters:
        return layer
    return lambda *args, **kwargs: layer(*args, **{**kwargs, "training": False})


def _has_activation(layer):
    linear = (None, keras.activations.linear)
    return getattr(layer, "activation", None) not in linear


def _simpler(layer):
    """An unbuilt layer's like without activation, every pixel read."""
    others = {"strides": 1} if single_pixels.skips(layer) else {}
    if _has_activation(layer):
        others |= {"activation": "linear", "activity_regularizer": None}
    twin = clone(layer, **others)
    twin.build_from_config(layer.get_build_config())
    return twin


def _classes(graph):
    """Width of the logits."""
    shapes = [graph.shape(tensor) for tensor in graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] is None:
        shown = ", ".join(str((None, *shape)) for shape in shapes)
        raise UserError(
            "Scores by data are of models with one output, logits of shape "
            f"(batch, classes). Received: outputs={shown}"
        )
    return shapes[0][0]


def _ends_in_softmax(layer):
    """Whether a layer's built-in activation is softmax."""
    return getattr(layer, "activation", None) is keras.activations.softmax


def _is_softmax(layer):
    """Whether a layer or operation is a softmax and nothing else."""
    alone = isinstance(layer, keras.layers.Activation)
    kinds = (keras.layers.Softmax, _softmax_operation())
    return isinstance(layer, kinds) or (alone and _ends_in_softmax(layer))


@functools.cache
def _softmax_operation():
    return operation_class(keras.ops.softmax, keras.KerasTensor((None, 2)))
