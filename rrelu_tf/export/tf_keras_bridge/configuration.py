"""Keras 3's configuration of a layer as tf_keras's."""

import inspect

import keras

from rrelu_tf.errors import UserError, first_line
from rrelu_tf.export.tf_keras_bridge import legacy

tf_keras, _ = legacy.load()

# Kind of object, as the last word of an argument -> where tf_keras has them.
_OBJECTS = {
    "initializer": tf_keras.initializers,
    "regularizer": tf_keras.regularizers,
    "constraint": tf_keras.constraints,
}
# Shapes that tf_keras finds out itself; seeds of draws that are no weights.
_UNNEEDED = ("query_shape", "key_shape", "value_shape", "lora_rank")
# Keras 3's name of an argument -> tf_keras's.
_RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
# What tf_keras does where it gives no choice.
_DEFAULTS = {"data_format": "channels_last"}
# Functions of one name that the two Kerases compute by different formulas.
_OTHERWISE = ("hard_sigmoid",)


def translated(layer, kind, given=None):
    """A tf_keras layer of a Keras 3 layer's configuration, without weights.

    Args:
        layer: a Keras 3 layer.
        kind: the class of the tf_keras layer.
        given: arguments that are known already, a dict.

    Returns:
        (The new layer, names of arguments that tf_keras cannot take over and
        that matter for training alone: regularisers, constraints).

    Raises:
        UserError: an argument that changes what the layer computes and that
            tf_keras does not have.
    """
    config, left = _arguments(layer, kind, given or {})
    try:
        return kind(**config), left
    except (TypeError, ValueError) as error:
        reason = f"tf_keras cannot make it: {first_line(error)}"
        raise refusal(layer, reason) from error


def _arguments(layer, kind, given):
    """What `translated` calls the class with, and what is left out."""
    known, config, left = _parameters(kind), dict(given), []
    for name, value in layer.get_config().items():
        name = _RENAMED.get((kind.__name__, name), name)
        word = name.rpartition("_")[2]
        if name in given:
            continue
        if name not in known:
            _check_default(layer, name, value)
        elif name == "dtype":
            config[name] = layer.dtype_policy.name
        elif word in _OBJECTS:
            made = _object(_OBJECTS[word], value)
            if made is not None:
                config[name] = made
            elif value is not None and word != "initializer":
                left.append(name)
        elif word == "activation":
            config[name] = _activation(layer, name, value)
        elif name != "seed" or not isinstance(value, dict):
            config[name] = value
    return config, left


def refusal(layer, reason):
    """The error of a layer that cannot be carried over."""
    return UserError(
        f"This layer cannot become one of tf_keras: {reason.rstrip('.')}. "
        f"Received: {layer.name}={type(layer).__name__}"
    )


def _parameters(kind):
    found = {"activity_regularizer", "dtype", "name", "trainable"}
    for base in kind.__mro__:
        if "__init__" in vars(base):
            found |= set(inspect.signature(base.__init__).parameters)
    return found


def _check_default(layer, name, value):
    """Refuses an argument that is set and that tf_keras does not know."""
    default = None
    for base in type(layer).__mro__:
        parameter = inspect.signature(base.__init__).parameters.get(name)
        if parameter is not None:
            default = parameter.default
            break
    stated = (None, False, default, _DEFAULTS.get(name))
    if name not in _UNNEEDED and value not in stated:
        raise refusal(layer, f"its {name} is unknown to tf_keras")


def _object(room, value):
    """A tf_keras initializer, regulariser or constraint; None if unknown."""
    if not isinstance(value, dict):
        return room.get(value) if isinstance(value, str) else None
    kind = getattr(room, value["class_name"], None)
    if kind is None or not value["module"].startswith("keras"):
        return None
    known = inspect.signature(kind.__init__).parameters
    config = value["config"]
    return kind(**{k: v for k, v in config.items() if k in known})


def _activation(layer, name, value):
    """The name of an activation that both Kerases have."""
    stock = getattr(keras.activations, str(value), None)
    used = vars(layer).get(name, stock)
    if stock is None or used not in (stock, None) or value in _OTHERWISE:
        raise refusal(layer, f"tf_keras has no activation like its {value}")
    try:
        tf_keras.activations.get(value)
    except ValueError as error:
        reason = f"tf_keras has no activation {value}"
        raise refusal(layer, reason) from error
    return value
