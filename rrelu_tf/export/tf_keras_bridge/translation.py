"""A functional Keras 3 model, call by call, as one of tf_keras."""

import inspect

import keras

from rrelu_tf.errors import UserError, first_line
from rrelu_tf.export.tf_keras_bridge import legacy, rules, weights
from rrelu_tf.export.tf_keras_bridge.configuration import refusal
from rrelu_tf.strip.graph import deep, has_graph, maker_name, trace

tf_keras, _ = legacy.load()


class Translation:
    """Makes tf_keras models of graphs.

    Attributes:
        left: key of a layer -> arguments that matter for training alone and
            that tf_keras does not have.
    """

    def __init__(self):
        self.left = {}

    def model(self, model):
        """The tf_keras model of a functional or Sequential Keras 3 model.

        Args:
            model: a `keras.Model` that has a graph.

        Returns:
            A functional `tf_keras.Model` of the same names, inputs, outputs
            and weights.
        """
        graph, twins = trace(model), {}
        made = {tensor: _input(graph, tensor) for tensor in graph.inputs}
        inputs = list(made.values())
        for node in graph.nodes:
            given = [made[tensor] for tensor in node.inputs]
            outputs = self._called(node, given, twins)
            made.update(zip(node.outputs, outputs, strict=True))
        outputs = [made[tensor] for tensor in graph.outputs]
        inputs, outputs = graph.structured(inputs, outputs)
        with deep(2 * len(graph.nodes)):
            twin = tf_keras.Model(inputs, outputs, name=graph.name)
        if not model.trainable:
            twin.trainable = False
        return twin

    def _called(self, node, given, twins):
        """The outputs of the node's twin for tf_keras tensors."""
        layer = node.layer
        if not isinstance(layer, keras.layers.Layer):
            twin = rules.operation_twin(node)
            return _outputs(layer, lambda: twin(_single(given)))
        is_new = id(layer) not in twins
        if is_new:
            twins[id(layer)] = self._twin(layer)
        twin = twins[id(layer)]
        outputs = _outputs(
            layer, lambda: node.call(_as_given(layer, twin), given)
        )
        if is_new and not isinstance(layer, keras.Model):
            weights.copy(layer, twin)
        return outputs

    def _twin(self, layer):
        if isinstance(layer, keras.Model):
            if not has_graph(layer):
                raise refusal(layer, "it is a model without a graph")
            return self.model(layer)
        twin, left = rules.twin(layer)
        if left:
            self.left[layer.name] = left
        return twin


def _input(graph, tensor):
    old = graph.tensors[tensor]
    return tf_keras.Input(
        shape=graph.shape(tensor),
        batch_size=old.shape[0],
        name=maker_name(old),
        dtype=old.dtype,
        sparse=old.sparse,
    )


def _as_given(layer, twin):
    """The twin, called without what Keras 3 itself puts in for defaults."""
    defaults = inspect.signature(layer.call).parameters

    def called(*args, **kwargs):
        stated = {
            name: value
            for name, value in kwargs.items()
            if name not in defaults or value is not defaults[name].default
        }
        return twin(*args, **stated)

    return called


def _single(tensors):
    return tensors[0] if len(tensors) == 1 else tensors


def _outputs(layer, call):
    """The flat outputs; what tf_keras refuses, in one line."""
    try:
        return keras.tree.flatten(call())
    except UserError:
        raise
    except (NotImplementedError, TypeError, ValueError) as error:
        reason = f"tf_keras cannot call it: {first_line(error)}"
        raise refusal(layer, reason) from error
