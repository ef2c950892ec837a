"""Writes zeros into the channels that are to go."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.scoring.filters import channel_axes, has_filters, kernel
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.rules import passes_channels


def mask(model, keep):
    """A copy of the model in which the channels that must go are constant.

    They are exactly 0 behind the layers that are zeroed, but for a built-in
    activation that turns 0 into something else, as sigmoid does: then they
    are that number. `rrelu_tf.strip` removes them either way;
    channels of the model's outputs stay, as zeros.

    What is zeroed depends on the layer that a key names: of a rotated
    activation the slope; of a batch normalisation gamma, beta and moving
    mean; of a convolution (separable, depthwise and transposed ones too) or
    dense layer (an `EinsumDense` that makes the last axis alone, too) the
    filter and bias, and behind it, through layers with a
    single reader that leave a 0 a 0, gamma, beta and moving mean of the first
    batch normalisation.

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is.
        keep: dict: layer name, `outer/inner` inside nested models -> bool
            array (channels,), True = keep.

    Returns:
        A new model of the same shapes.

    Raises:
        UserError: a key that names no layer of the model or one that cannot be
            masked, or an array of another length; no dict.
    """
    if not isinstance(keep, dict):
        raise UserError(
            "`keep` must be a dict of bool arrays, as select returns it. "
            f"Received: keep={type(keep).__name__}"
        )
    masked = copy(model)
    places = {}
    for graph, node, key in walk(trace(masked)):
        places.setdefault(key, (graph, node))
    for key, stays in keep.items():
        if key not in places:
            raise UserError(
                "Every key of `keep` must name a layer of the model. "
                f"Received: key={key}"
            )
        graph, node = places[key]
        stays = np.asarray(stays)
        channels = graph.channels(node)
        if stays.dtype != bool or stays.shape != (channels,):
            raise UserError(
                f"`keep` of {key} must be a bool array of shape ({channels},). "
                f"Received: {key}={stays.dtype} array of shape {stays.shape}"
            )
        for layer in silencers(graph, node, key):
            zero(layer, ~stays)
    return masked


def silencers(graph, node, key):
    """The layers whose zeros make a channel of a node constant.

    Args:
        graph: the `strip.graph.Graph` that the node is in.
        node: a `Node`.
        key: its key, for errors.

    Returns:
        List of the node's layer and, for a convolution or dense layer, the
        norm behind it that may turn 0 into something else.

    Raises:
        UserError: a layer that cannot be masked.
    """
    if isinstance(node.layer, Rotated):
        return [node.layer]
    if isinstance(node.layer, keras.layers.BatchNormalization):
        if not node.layer.scale:
            raise UserError(
                "A batch normalisation without scale cannot silence a channel: "
                f"mask the conv before it. Received: key={key}"
            )
        return [node.layer]
    if not has_filters(node.layer):
        raise UserError(
            "Rotated activations, batch normalisations, convolutions and dense "
            f"layers can be masked. Received: {key}={type(node.layer).__name__}"
        )
    norm = None if node.shared else _norm_behind(graph, node)
    return [node.layer] if norm is None else [node.layer, norm]


def _norm_behind(graph, node):
    """The batch normalisation that alone reads a node's channels, or None."""
    readers = graph.consumers()
    tensor = node.outputs[0]
    while len(readers[tensor]) == 1 and tensor not in graph.outputs:
        reader = readers[tensor][0]
        if reader.shared or not passes_channels(graph, reader):
            break
        if isinstance(reader.layer, keras.layers.BatchNormalization):
            same = _axis(graph, node) == _axis(graph, reader)
            return reader.layer if same else None
        tensor = reader.outputs[0]
    return None


def _axis(graph, node):
    """The channels' axis of a node, counted from the front."""
    rank = len(graph.shape(node.outputs[0]))
    return graph.channel_axis(node) % rank


def zero(layer, gone):
    """Zeroes the weights that make these channels' outputs."""
    for variable, axes in making(layer):
        values = keras.ops.convert_to_numpy(variable).copy()
        moved = np.moveaxis(values, axes, range(len(axes)))
        moved[gone.reshape(moved.shape[: len(axes)])] = 0  # into `values`
        variable.assign(values)


def making(layer):
    """The weights that make a layer's channels: zeros there silence them.

    Yields:
        (`keras.Variable`, tuple of its axes, from 0, along which the channels
        lie).
    """
    if has_filters(layer):
        yield kernel(layer), channel_axes(layer)
    for name in ("bias", "gamma", "beta", "moving_mean", "slope"):
        variable = getattr(layer, name, None)
        if isinstance(variable, keras.Variable):
            yield variable, (len(variable.shape) - 1,)
