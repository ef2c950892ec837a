"""Writes zeros into the channels that are to go."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import fresh_input, trace
from rrelu_tf.strip.rules import passes_channels
from rrelu_tf.strip.stripped import Stripped

_KERNELS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
)


def mask(model, keep):
    """A copy of the model in which the channels that must go are exactly 0.

    What is zeroed depends on the layer that a key names: of a rotated
    activation the slope; of a batch normalisation gamma, beta and moving
    mean; of a conv or dense layer the filter and bias, and behind it, through
    channel-wise layers with a single reader, gamma, beta and moving mean of
    the first batch normalisation.

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is.
        keep: dict: layer name -> bool array (channels,), True = keep.

    Returns:
        A new model of the same shapes.

    Raises:
        UserError: a key that names no layer of the model or one that cannot be
            masked, or an array of another length.
    """
    masked = copy(model)
    graph = trace(masked)
    nodes = {node.key: node for node in graph.nodes}
    readers = graph.consumers()
    for key, stays in keep.items():
        if key not in nodes:
            raise UserError(
                "Every key of `keep` must name a layer of the model. "
                f"Received: key={key}"
            )
        stays = np.asarray(stays)
        channels = graph.channels(nodes[key].outputs[0])
        if stays.dtype != bool or stays.shape != (channels,):
            raise UserError(
                f"`keep` of {key} must be a bool array of shape ({channels},). "
                f"Received: {key}={stays.dtype} array of shape {stays.shape}"
            )
        for node in _to_zero(graph, nodes[key], readers):
            _zero(node.layer, ~stays)
    return masked


def copy(model):
    """A model of the same layers and weights that shares neither."""
    graph = trace(model)
    # Keras would give unnamed inputs new names.
    inputs = [fresh_input(graph, tensor) for tensor in graph.inputs]
    structure = graph.model.input
    twin = keras.models.clone_model(
        model, input_tensors=keras.tree.pack_sequence_as(structure, inputs)
    )
    twin.set_weights(model.get_weights())
    if isinstance(model, Stripped):
        twin.kept = model.kept
    return twin


def _to_zero(graph, node, readers):
    """The node and, for a kernel, the norm that may turn 0 into a constant."""
    if isinstance(node.layer, Rotated):
        return [node]
    if isinstance(node.layer, keras.layers.BatchNormalization):
        if not node.layer.scale:
            raise UserError(
                "A batch normalisation without scale cannot silence a channel: "
                f"mask the conv before it. Received: key={node.key}"
            )
        return [node]
    if not isinstance(node.layer, _KERNELS):
        raise UserError(
            "Rotated activations, batch normalisations, conv and dense layers "
            f"can be masked. Received: {node.key}={type(node.layer).__name__}"
        )
    if node.shared:  # each call has a chain of its own
        return [node]
    tensor = node.outputs[0]
    while len(readers[tensor]) == 1 and tensor not in graph.outputs:
        reader = readers[tensor][0]
        if not passes_channels(graph, reader):
            break
        if isinstance(reader.layer, keras.layers.BatchNormalization):
            return [node, reader]
        tensor = reader.outputs[0]
    return [node]


def _zero(layer, gone):
    """Zeroes the weights that make these channels' outputs."""
    for name in ("kernel", "bias", "gamma", "beta", "moving_mean", "slope"):
        variable = getattr(layer, name, None)
        if isinstance(variable, keras.Variable):
            values = keras.ops.convert_to_numpy(variable).copy()
            values[..., gone] = 0
            variable.assign(values)
