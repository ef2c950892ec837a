"""Layers made again from their configuration, and given weights."""

import inspect

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import (
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    ZeroPadding2D,
)

# This package's layers -> Keras's that compute the same.
PLAIN = {
    BatchNormalization: keras.layers.BatchNormalization,
    Conv2D: keras.layers.Conv2D,
    DepthwiseConv2D: keras.layers.DepthwiseConv2D,
    ZeroPadding2D: keras.layers.ZeroPadding2D,
}


def clone(layer, kind=None, **overrides):
    """An unbuilt copy of a layer.

    Args:
        layer: a Keras layer or operation.
        kind: the copy's class, if not the layer's: one of the same arguments;
            Keras's own know no `fused`.
        **overrides: constructor arguments that differ.
    """
    if isinstance(layer, keras.layers.Lambda):  # no code to load: it is here
        names = ("function", "arguments", "mask", "name", "dtype")
        options = {name: getattr(layer, name) for name in names}
        options["output_shape"] = layer._output_shape
        return keras.layers.Lambda(**{**options, **overrides})
    try:
        config = layer.get_config()
        if kind in PLAIN.values():
            config.pop("fused", None)
        made = (kind or type(layer)).from_config({**config, **overrides})
        # A configuration may forget the name, of a subclassed model's say.
        made.name = overrides.get("name", layer.name)
        _keep_function(layer, made, overrides)
        return made
    except (NotImplementedError, TypeError) as error:
        raise UserError(
            "Every layer must be made again by from_config(get_config()). "
            f"Received: {layer.name}={type(layer).__name__}"
        ) from error


def _keep_function(layer, made, overrides):
    """A configuration has names: `ops.gelu`'s is that of the exact gelu."""
    function = vars(layer).get("activation")
    other = vars(made).get("activation") is not function
    if inspect.isfunction(function) and other and "activation" not in overrides:
        made.activation = function


_DEPTHWISE = {
    keras.layers.Conv1D: keras.layers.DepthwiseConv1D,
    keras.layers.Conv2D: keras.layers.DepthwiseConv2D,
    Conv2D: keras.layers.DepthwiseConv2D,
}
_SHARED = (
    *("name", "dtype", "trainable", "kernel_size", "strides", "padding"),
    *("dilation_rate", "activation", "use_bias", "bias_initializer"),
    *("bias_regularizer", "bias_constraint", "activity_regularizer"),
)


def depthwise(layer, channels):
    """A convolution of one channel a group as a depthwise one.

    TensorFlow has no kernel for grouped convolutions on a CPU: Keras compiles
    each, to code that takes up to 500 times as long (7 x 7, 1,024 channels).

    Args:
        layer: any unbuilt layer.
        channels: of its input.

    Returns:
        An unbuilt layer of the same function, to be given its weights by
        `copy_weights`; the layer itself where there is no such other.
    """
    kind = _DEPTHWISE.get(type(layer))
    if (
        kind is None
        or layer.groups in (1, None)
        or layer.groups != channels
        or layer.data_format != "channels_last"
        or layer.padding == "causal"
        or len(set(layer.strides)) > 1
    ):
        return layer
    config = layer.get_config()
    options = {name: config[name] for name in _SHARED if name in config}
    for what in ("initializer", "regularizer", "constraint"):
        options[f"depthwise_{what}"] = config[f"kernel_{what}"]
    multiplier = layer.filters // layer.groups
    return kind.from_config({**options, "depth_multiplier": multiplier})


def copy_weights(source, target):
    """Gives a built layer the weights of another of its kind.

    `Normalization` computes with tensors made from its weights when those were
    adapted or loaded: they are copied, too. Operations have no weights.
    """
    if not isinstance(source, keras.layers.Layer):
        return
    weights = source.get_weights()
    if type(source) is not type(target):  # `depthwise`: the same order
        weights = [
            array.reshape(variable.shape)
            for array, variable in zip(weights, target.weights, strict=True)
        ]
    target.set_weights(weights)
    if isinstance(source, keras.layers.Normalization) and source.built:
        target.mean, target.variance = source.mean, source.variance
