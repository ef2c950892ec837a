"""Writes zeros into the channels that are to go."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.output_layers import output_layers
from rrelu_tf.strip.rules import passes_channels

_layers = keras.layers
_KERNELS = (
    *(_layers.Conv1D, _layers.Conv2D, _layers.Conv3D, _layers.Dense),
    *(_layers.SeparableConv1D, _layers.SeparableConv2D),
    *(_layers.DepthwiseConv1D, _layers.DepthwiseConv2D),
    *(
        _layers.Conv1DTranspose,
        _layers.Conv2DTranspose,
        _layers.Conv3DTranspose,
    ),
)
_TRANSPOSED = _KERNELS[-3:]
_DEPTHWISE = (_layers.DepthwiseConv1D, _layers.DepthwiseConv2D)


def mask(model, keep):
    """A copy of the model in which the channels that must go are constant.

    They are exactly 0 behind the layers that are zeroed, but for a built-in
    activation that turns 0 into something else, as sigmoid does: then they
    are that number. `rrelu_tf.strip` removes them either way.

    What is zeroed depends on the layer that a key names: of a rotated
    activation the slope; of a batch normalisation gamma, beta and moving
    mean; of a convolution (separable, depthwise and transposed ones too) or
    dense layer the filter and bias, and behind it, through layers with a
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
            masked, or that makes an output of the model; an array of another
            length; no dict.
    """
    if not isinstance(keep, dict):
        raise UserError(
            "`keep` must be a dict of bool arrays, as select returns it. "
            f"Received: keep={type(keep).__name__}"
        )
    masked = copy(model)
    outputs = output_layers(model)
    places = {}
    for graph, node, key in walk(trace(masked)):
        places.setdefault(key, (graph, node))
    for key, stays in keep.items():
        if key not in places:
            raise UserError(
                "Every key of `keep` must name a layer of the model. "
                f"Received: key={key}"
            )
        if key in outputs:
            raise UserError(
                "No channel of an output of the model can go: its layer must "
                f"not be masked. Received: key={key}"
            )
        graph, node = places[key]
        stays = np.asarray(stays)
        channels = graph.channels(node)
        if stays.dtype != bool or stays.shape != (channels,):
            raise UserError(
                f"`keep` of {key} must be a bool array of shape ({channels},). "
                f"Received: {key}={stays.dtype} array of shape {stays.shape}"
            )
        for reached in _to_zero(graph, node, key):
            zero(reached.layer, ~stays)
    return masked


def _to_zero(graph, node, key):
    """The node and, for a kernel, the norm that may turn 0 into a constant."""
    if isinstance(node.layer, Rotated):
        return [node]
    if isinstance(node.layer, keras.layers.BatchNormalization):
        if not node.layer.scale:
            raise UserError(
                "A batch normalisation without scale cannot silence a channel: "
                f"mask the conv before it. Received: key={key}"
            )
        return [node]
    if not isinstance(node.layer, _KERNELS):
        raise UserError(
            "Rotated activations, batch normalisations, convolutions and dense "
            f"layers can be masked. Received: {key}={type(node.layer).__name__}"
        )
    if node.shared:  # each call has a chain of its own
        return [node]
    readers = graph.consumers()
    tensor = node.outputs[0]
    while len(readers[tensor]) == 1 and tensor not in graph.outputs:
        reader = readers[tensor][0]
        if reader.shared or not passes_channels(graph, reader):
            break
        if isinstance(reader.layer, keras.layers.BatchNormalization):
            same = _axis(graph, node) == _axis(graph, reader)
            return [node, reader] if same else [node]
        tensor = reader.outputs[0]
    return [node]


def _axis(graph, node):
    """The channels' axis of a node, counted from the front."""
    rank = len(graph.shape(node.outputs[0]))
    return graph.channel_axis(node) % rank


def zero(layer, gone):
    """Zeroes the weights that make these channels' outputs."""
    for name in (
        *("kernel", "pointwise_kernel", "bias"),
        *("gamma", "beta", "moving_mean", "slope"),
    ):
        variable = getattr(layer, name, None)
        if isinstance(variable, keras.Variable):
            values = keras.ops.convert_to_numpy(variable).copy()
            if isinstance(layer, _TRANSPOSED) and name == "kernel":
                values[..., gone, :] = 0
            elif isinstance(layer, _DEPTHWISE) and name == "kernel":
                values[..., gone.reshape(values.shape[-2:])] = 0
            else:
                values[..., gone] = 0
            variable.assign(values)
