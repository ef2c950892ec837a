"""Layers made again from their configuration, and given weights."""

import keras

from rrelu_tf.errors import UserError


def clone(layer, **overrides):
    """An unbuilt copy of a layer with other constructor arguments."""
    if isinstance(layer, keras.layers.Lambda):  # no code to load: it is here
        names = ("function", "arguments", "mask", "name", "dtype")
        options = {name: getattr(layer, name) for name in names}
        options["output_shape"] = layer._output_shape
        return keras.layers.Lambda(**{**options, **overrides})
    try:
        made = type(layer).from_config({**layer.get_config(), **overrides})
        # A configuration may forget the name, of a subclassed model's say.
        made.name = overrides.get("name", layer.name)
        return made
    except (NotImplementedError, TypeError) as error:
        raise UserError(
            "Every layer must be made again by from_config(get_config()). "
            f"Received: {layer.name}={type(layer).__name__}"
        ) from error


def copy_weights(source, target):
    """Gives a built layer the weights of another of its kind.

    `Normalization` computes with tensors made from its weights when those were
    adapted or loaded: they are copied, too. Operations have no weights.
    """
    if not isinstance(source, keras.layers.Layer):
        return
    target.set_weights(source.get_weights())
    if isinstance(source, keras.layers.Normalization) and source.built:
        target.mean, target.variance = source.mean, source.variance
