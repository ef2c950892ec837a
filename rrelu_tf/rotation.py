"""rotate: the activations of any model become rotated ones."""

import warnings

import keras
from keras import layers, ops

from rrelu_tf.errors import UserError
from rrelu_tf.layers import AUGMENTED, RGELU, RReLU, RSiLU
from rrelu_tf.strip.cloning import clone, copy_weights
from rrelu_tf.strip.graph import (
    carries_mask,
    has_graph,
    operation_class,
    trace,
    walk,
)

_BY_FUNCTION = {
    keras.activations.relu: RReLU,
    keras.activations.gelu: RGELU,
    keras.activations.silu: RSiLU,
}
_TENSOR = keras.KerasTensor((None, 1))
_RELU, _SILU, _GELU = (
    operation_class(function, _TENSOR)
    for function in (ops.relu, ops.silu, ops.gelu)
)
# Layers whose own activation is the last thing they compute.
_ACTIVATED = (
    *(layers.Dense, layers.EinsumDense),
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    *(layers.SeparableConv1D, layers.SeparableConv2D),
    *AUGMENTED.values(),
)


def rotate(model, slope_initializer="ones", *, slope_regularizer=None):
    """Turns every ReLU, GELU and SiLU of a model into RReLU, RGELU, RSiLU.

    With slopes of 1 the function stays the same: trained weights are the warm
    start of what the RReLU authors' code calls "retrain". An activation layer
    or operation becomes a rotated layer of the same name; an activation inside
    a layer becomes a new layer `<name>_rotated` behind it. An activation layer
    that is called several times gets slopes for each call; a layer with
    weights has one set of slopes for all its calls.

    Left as they are, with a warning that lists them: rectifiers with a
    maximum, a leak or a threshold (ReLU6 too), GELU by its tanh approximation,
    activations over channels that do not lie on the last axis, and those
    inside layers that do more behind them (recurrent ones, wrappers).

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is.
        slope_initializer: "ones"; "rotation", the paper's; or any other; its
            seed, if it has one, counts up from layer to layer.
        slope_regularizer: for instance `keras.regularizers.L1(1e-4)`.

    Returns:
        A new functional `keras.Model`, not compiled, with the source's weights.

    Raises:
        UserError: a model without a graph, or without such an activation.
    """
    rotator = _Rotator(slope_initializer, slope_regularizer)
    rotated = rotator.model(model)
    if not rotator.made:
        raise UserError(
            "rotate needs a relu, gelu or silu over a last axis of channels. "
            f"Received: model={model.name}"
        )
    if rotator.left:
        warnings.warn(
            f"rotate left as they are: {', '.join(rotator.left)}", stacklevel=2
        )
    return rotated


# Where wrappers and recurrent layers keep the layer that computes.
_WRAPPED = ("layer", "forward_layer", "cell")


class _Rotator:
    """Makes models again; counts what it rotated, lists what it did not."""

    def __init__(self, slope_initializer, slope_regularizer):
        self.initializer = slope_initializer
        self.regularizer = slope_regularizer
        self.made = 0
        self.left = []
        self._copies = {}
        self._called_before = set()
        self._names = set()

    def model(self, source):
        """The model, rotated."""
        graph = trace(source)
        self._names |= {node.key for _, node, _ in walk(graph)}
        rotated = graph.rewrite(
            lambda node, tensors: self._node(graph, node, tensors)
        )
        if not source.trainable:
            rotated.trainable = False
        return rotated

    def _node(self, graph, node, tensors):
        kind = _kind(node.layer)
        if kind is None:
            return self._called(node, tensors)
        dtype = graph.tensors[node.outputs[0]].dtype
        is_layer = isinstance(node.layer, layers.Layer)
        # An operation drops a mask, a layer would hand it on.
        masked = not is_layer and carries_mask(tensors[0])
        if not _has_last_axis(graph, node) or "float" not in dtype or masked:
            self.left.append(node.key)
            return self._called(node, tensors)
        policy = node.layer.dtype_policy if is_layer else dtype
        if type(node.layer) not in _ACTIVATED:
            name = self._name(node)
            return [self._rotated(node, kind, name, policy)(tensors[0])]
        outputs = self._called(
            node, tensors, activation="linear", activity_regularizer=None
        )
        name = f"{node.key}_rotated"
        at = id(node.layer), name
        if at not in self._copies:
            made = self._rotated(node, kind, self._free(name), policy)
            self._copies[at] = made
        return [self._copies[at](outputs[0])]

    def _rotated(self, node, kind, name, policy):
        initializer = self._initializer()
        self.made += 1
        return kind(
            slope_initializer=initializer,
            slope_regularizer=self.regularizer,
            name=name,
            dtype=policy,
            trainable=getattr(node.layer, "trainable", True),
            activity_regularizer=getattr(
                node.layer, "activity_regularizer", None
            ),
        )

    def _initializer(self):
        """One instance, or one seed, would draw the same for each layer."""
        if not isinstance(self.initializer, keras.initializers.Initializer):
            return self.initializer
        config = self.initializer.get_config()
        if isinstance(config.get("seed"), int):
            config["seed"] += self.made
        return type(self.initializer).from_config(config)

    def _called(self, node, tensors, **overrides):
        """The node's layer again, with its weights, called."""
        layer = node.layer
        if id(layer) in self._copies:
            return node.call(self._copies[id(layer)], tensors)
        if has_graph(layer):
            copy = self._copies[id(layer)] = self.model(layer)
            return node.call(copy, tensors)
        if _activation(layer) is not None and not overrides:
            self.left.append(node.key)
        copy = self._copies[id(layer)] = clone(layer, **overrides)
        outputs = node.call(copy, tensors)
        copy_weights(layer, copy)
        return outputs

    def _name(self, node):
        """The layer's own name for its first call."""
        if id(node.layer) in self._called_before:
            return self._free(node.key)
        self._called_before.add(id(node.layer))
        return node.key

    def _free(self, name):
        number, free = 1, name
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free


def _kind(layer):
    """The rotated class that a layer's activation becomes, or None."""
    if type(layer) is layers.ReLU:
        plain = not layer.negative_slope and not layer.threshold
        return RReLU if plain and layer.max_value is None else None
    if type(layer) is layers.Activation or type(layer) in _ACTIVATED:
        return _BY_FUNCTION.get(layer.activation)
    if type(layer) is _GELU:
        return None if layer.approximate else RGELU
    return {_RELU: RReLU, _SILU: RSiLU}.get(type(layer))


def _activation(layer):
    """What a layer rectifies by, if it is of the kind that rotate is about."""
    inner = (getattr(layer, name, None) for name in _WRAPPED)
    wrapped = [x for x in inner if isinstance(x, layers.Layer)]
    if wrapped:
        return _activation(wrapped[0])
    if isinstance(layer, (layers.ReLU, layers.LeakyReLU, _GELU)):
        return layer
    function = getattr(layer, "activation", None)
    known = (*_BY_FUNCTION, keras.activations.relu6)
    known += (keras.activations.leaky_relu,)
    return function if function in known else None


def _has_last_axis(graph, node):
    """Whether the channels lie on a last axis of known size."""
    shape = graph.shape(node.outputs[0])
    first = getattr(node.layer, "data_format", None) == "channels_first"
    return bool(shape) and shape[-1] is not None and not first
