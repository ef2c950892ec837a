"""rotate: the activations of any model become rotated ones."""

import warnings

import keras
from keras import layers

from rrelu_tf.errors import UserError
from rrelu_tf.rotation import layouts, rectifiers
from rrelu_tf.strip.cloning import clone, copy_weights
from rrelu_tf.strip.graph import carries_mask, has_graph, trace, walk


def rotate(model, slope_initializer="ones", *, slope_regularizer=None):
    """Turns every ReLU, GELU and SiLU of a model into RReLU, RGELU, RSiLU.

    With slopes of 1 the function stays the same: trained weights are the warm
    start of what the RReLU authors' code calls "retrain". An activation layer
    or operation becomes a rotated layer of the same name; an activation inside
    a layer becomes a new layer `<name>_rotated` behind it. An activation layer
    that is called several times gets slopes for each call; a layer with
    weights has one set of slopes for all its calls.

    Left as they are, with a warning that lists them: rectifiers with a
    maximum, a leak or a threshold (ReLU6 too), GELU by its tanh approximation
    (`ops.gelu`'s default), activation functions that Keras does not know,
    activations over channels that do not lie on the last axis (those of
    channels-first nets), and those inside layers that do more behind them
    (recurrent ones, wrappers).

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is.
        slope_initializer: "ones"; "rotation", the paper's; or any other; its
            seed, if it has one, counts up from layer to layer.
        slope_regularizer: for instance `keras.regularizers.L1(1e-4)`.

    Returns:
        A new functional `keras.Model`, not compiled, with the source's weights.

    Raises:
        UserError: a model without a graph, or without such an activation; an
            initializer or regularizer that is none.
    """
    _check(slope_initializer, slope_regularizer)
    rotator = _Rotator(slope_initializer, slope_regularizer)
    rotated = rotator.model(model)
    if not rotator.made:
        left = ", ".join(rotator.left)
        found = f", and left as they are: {left}" if left else ""
        raise UserError(
            "rotate needs a plain relu, gelu or silu over a last axis of "
            f"channels{found}. Received: model={model.name}"
        )
    if rotator.left:
        warnings.warn(
            f"rotate left as they are: {', '.join(rotator.left)}", stacklevel=2
        )
    return rotated


def _check(initializer, regularizer):
    """A layer would find out only where it is made, in words of its own."""
    try:
        known = initializer == "rotation" or keras.initializers.get(initializer)
    except ValueError:
        known = None
    if not known:
        raise UserError(
            'slope_initializer must be "ones", "rotation" or any other that '
            f"Keras knows. Received: slope_initializer={initializer}"
        )
    try:
        keras.regularizers.get(regularizer)
    except ValueError as error:
        raise UserError(
            "slope_regularizer must be one that Keras knows, or None. "
            f"Received: slope_regularizer={regularizer}"
        ) from error


class _Rotator:
    """Makes models again; counts what it rotated, lists what it did not."""

    def __init__(self, slope_initializer, slope_regularizer):
        self.initializer = slope_initializer
        self.regularizer = slope_regularizer
        self.made = 0
        self.left = {}
        self._copies = {}
        self._called_before = set()
        self._names = set()

    def model(self, source):
        """The model, rotated."""
        graph = trace(source)
        self._names |= {node.key for _, node, _ in walk(graph)}
        self._first = layouts.channels_first(graph)
        return self._rewritten(source, None, "")

    def _rewritten(self, source, given, prefix):
        """A model whose inputs' channels lie on the axes `given`."""
        graph = trace(source)
        axes = layouts.channel_axes(graph, given, self._first)
        rotated = graph.rewrite(
            lambda node, tensors: self._node(graph, axes, prefix, node, tensors)
        )
        if not source.trainable:
            rotated.trainable = False
        return rotated

    def _node(self, graph, axes, prefix, node, tensors):
        key = prefix + node.key
        if has_graph(node.layer):
            return self._nested(graph, axes, key, node, tensors)
        kind = rectifiers.rotated_class(node.layer)
        if kind is None:
            if rectifiers.rectifies(node.layer):
                self.left[key] = node.layer
            return self._called(node, tensors)
        dtype = graph.tensors[node.outputs[0]].dtype
        is_layer = isinstance(node.layer, layers.Layer)
        # An operation drops a mask, a layer would hand it on.
        masked = not is_layer and carries_mask(tensors[0])
        there = _has_last_axis(graph, axes, node.outputs[0])
        if not there or "float" not in dtype or masked:
            self.left[key] = node.layer
            return self._called(node, tensors)
        policy = node.layer.dtype_policy if is_layer else dtype
        if type(node.layer) not in rectifiers.ACTIVATED:
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

    def _nested(self, graph, axes, key, node, tensors):
        if id(node.layer) not in self._copies:
            given = layouts.merged(graph, node, axes)
            copy = self._rewritten(node.layer, given, f"{key}/")
            self._copies[id(node.layer)] = copy
        return node.call(self._copies[id(node.layer)], tensors)

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


def _has_last_axis(graph, axes, tensor):
    """Whether a tensor's channels lie on a last axis of known size."""
    shape = graph.shape(tensor)
    known = bool(shape) and shape[-1] is not None
    return known and layouts.is_last(graph, tensor, axes)
