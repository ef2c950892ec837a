"""Which tf_keras layer each Keras 3 layer becomes."""

import keras
import numpy as np

from rrelu_tf import layers
from rrelu_tf.export.tf_keras_bridge import (
    channels,
    legacy,
    operation,
    optimizable,
    rotated,
    tokens,
)
from rrelu_tf.export.tf_keras_bridge.configuration import refusal, translated

tf_keras, _ = legacy.load()

# Layers whose twin takes the same arguments -> the twin.
_TWINS = {
    layers.RReLU: rotated.RReLU,
    layers.RGELU: rotated.RGELU,
    layers.RSiLU: rotated.RSiLU,
    layers.ChannelGather: channels.ChannelGather,
    layers.ClassToken: tokens.ClassToken,
    layers.PositionEmbedding: tokens.PositionEmbedding,
    keras.layers.Rescaling: channels.Rescaling,
}


def twin(layer):
    """An unbuilt tf_keras layer that computes what a Keras 3 layer does.

    Args:
        layer: a Keras 3 layer, no model.

    Returns:
        (The tf_keras layer, names of arguments that were left out.)

    Raises:
        UserError: tf_keras has no such layer.
    """
    if getattr(layer.dtype_policy, "quantization_mode", None):
        raise refusal(layer, "it is quantised: bridge the model before that")
    if isinstance(layer, keras.layers.Lambda):
        return _lambda(layer)
    kind = _TWINS.get(type(layer)) or _stock(layer)
    if kind is None:
        raise refusal(layer, "tf_keras has none of this class")
    given, left = _GIVEN.get(type(layer), _inner)(layer)
    twin, others = translated(layer, kind, given)
    return twin, left + others


def _stock(layer):
    """The tf_keras class of a stock layer's name; None if there is none.

    This package's normalisation, convolutions, padding and augmented layers
    are, for inference, the stock layers that they derive from.
    """
    for kind in type(layer).__mro__:
        room = kind.__module__.partition(".")[0]
        if room == "keras":
            name = kind.__name__
            public = getattr(keras.layers, name, None) is kind
            found = getattr(tf_keras.layers, name, None) if public else None
            return optimizable.STOCK.get(name, found)
        if room != "rrelu_tf":
            return None
    return None


def _lambda(layer):
    names = ("function", "mask", "arguments", "name")
    options = {name: getattr(layer, name) for name in names}
    dtype = layer.dtype_policy.name
    return tf_keras.layers.Lambda(**options, dtype=dtype), []


def _rescaling(layer):
    """Its numbers, which need not be those of its configuration."""
    names = ("scale", "offset")
    return {n: np.array(getattr(layer, n)).tolist() for n in names}, []


def _normalization(layer):
    """Its statistics are constants in both Kerases once it has any."""
    found = {}
    for name in ("mean", "variance"):
        array = keras.ops.convert_to_numpy(getattr(layer, name))
        found[name] = array.squeeze().tolist()
    return found, []


def _bidirectional(layer):
    return _twins(
        {"layer": layer.forward_layer, "backward_layer": layer.backward_layer}
    )


def _inner(layer):
    """The layers inside of a wrapper, a recurrent layer's cell."""
    names = ("layer", "cell")
    inner = {name: vars(layer).get(name) for name in names}
    public = set(layer.get_config())
    return _twins({n: v for n, v in inner.items() if v and n in public})


def _twins(inner):
    found, left = {}, []
    for name, layer in inner.items():
        found[name], others = twin(layer)
        left += others
    return found, left


# Layers of arguments that are not their configuration's -> what makes these.
_GIVEN = {
    keras.layers.Bidirectional: _bidirectional,
    keras.layers.Normalization: _normalization,
    keras.layers.Rescaling: _rescaling,
}


def operation_twin(node):
    """The tf_keras layer of a call of a `keras.ops` function.

    Args:
        node: a `strip.graph.Node` of a `keras.Operation` that is no layer.

    Raises:
        UserError: an argument that cannot be written down.
    """
    numbers = iter(range(len(node.inputs)))

    def plain(argument):
        if isinstance(argument, keras.KerasTensor):
            return {"tensor": next(numbers)}
        is_array = hasattr(argument, "shape") and hasattr(argument, "dtype")
        if is_array and not isinstance(argument, np.ndarray):
            return keras.ops.convert_to_numpy(argument)
        return argument

    serialize = keras.saving.serialize_keras_object
    args, kwargs = node.arguments.convert(plain)
    try:
        return operation.Operation(
            serialize(node.layer),
            serialize([list(args), kwargs]),
            name=node.key,
        )
    except (TypeError, ValueError) as error:
        reason = "an argument of the operation cannot be serialised"
        raise refusal(node.layer, reason) from error
