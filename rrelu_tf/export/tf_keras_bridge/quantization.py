"""Quantisation-aware training of bridged models, by TFMOT."""

from rrelu_tf.errors import UserError
from rrelu_tf.export.tf_keras_bridge import legacy
from rrelu_tf.strip import keras_2

# Activations that TFMOT's configuration of `Activation` layers knows.
_ACTIVATIONS = (
    *("relu", "relu6", "swish", "gelu"),
    *("linear", "softmax", "sigmoid", "tanh"),
)


def quantize_aware(model):
    """A tf_keras model that trains as if its numbers had 8 bits.

    TFMOT's `quantize_annotate_layer` for every layer that can be quantised,
    with this library's configurations for this library's layers, then its
    `quantize_apply`; `quantize_model` would refuse the model for the first
    layer that it does not know. A normalisation behind a convolution or dense
    layer is quantised with it; of another one the output is. Left in float are
    layer normalisation, attention and activations that TFMOT does not know.

    Args:
        model: a `tf_keras.Model` made by `to_tf_keras`, left as it is.

    Returns:
        A new `tf_keras.Model` to be compiled and trained further, for a few
        steps at the least: ranges of activations are not known before.

    Raises:
        UserError: a Keras 3 model, one without a layer that is quantised, one
            with layers that TFMOT wrapped, or a model inside of the model.
    """
    is_model = keras_2.is_tf_keras(model) and hasattr(model, "layers")
    if not is_model:
        raise UserError(
            "quantize_aware takes what rrelu_tf.export.to_tf_keras returns, a "
            f"tf_keras model. Received: model={type(model).__name__}"
        )
    tf_keras, tfmot = legacy.load()
    quantization = tfmot.quantization.keras
    for layer in model.layers:
        if type(layer).__module__.startswith(f"{tfmot.__name__}."):
            raise UserError(
                "quantize_aware takes layers that TFMOT has not wrapped: call "
                "its strip_pruning or strip_clustering before. "
                f"Received: {layer.name}={type(layer).__name__}"
            )
        if isinstance(layer, tf_keras.Model):
            raise UserError(
                "TFMOT quantises no model inside of another. "
                f"Received: {layer.name}={type(layer).__name__}"
            )

    def annotate(layer):
        config, quantised = _config(layer)
        if not quantised:
            return layer
        return quantization.quantize_annotate_layer(layer, config)

    if not any(_config(layer)[1] for layer in model.layers):
        raise UserError(
            "quantize_aware needs a layer that TFMOT quantises. "
            f"Received: model={model.name}"
        )
    # TFMOT wraps the layers themselves: those of a copy.
    copy = tf_keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    with quantization.quantize_scope():
        annotated = tf_keras.models.clone_model(copy, clone_function=annotate)
        return quantization.quantize_apply(annotated)


def _config(layer):
    """(The layer's configuration, None for TFMOT's own; if it has any)."""
    from rrelu_tf.export.tf_keras_bridge.quantize_configs import Computed

    tf_keras, tfmot = legacy.load()
    layers = tf_keras.layers
    known = tfmot.quantization.keras.default_8bit.Default8BitQuantizeRegistry()
    if hasattr(layer, "quantize_config"):
        config = layer.quantize_config()
        return config, config is not None
    if isinstance(layer, layers.BatchNormalization):
        return None if _follows_kernel(layer) else Computed(), True
    if isinstance(layer, layers.Activation):
        return None, layer.activation.__name__ in _ACTIVATIONS
    joins = layers.Multiply, layers.Subtract, layers.Average
    if isinstance(layer, (*joins, layers.Maximum, layers.Minimum)):
        return Computed(), True
    return None, known.supports(layer)


def _follows_kernel(norm):
    """Whether TFMOT folds a normalisation into the layer before it."""
    tf_keras, _ = legacy.load()
    before = norm.inbound_nodes[0].inbound_layers
    kinds = (
        *(tf_keras.layers.Conv2D, tf_keras.layers.DepthwiseConv2D),
        tf_keras.layers.Dense,
    )
    return (
        isinstance(before, kinds)
        and len(before.outbound_nodes) == 1
        and before.activation is tf_keras.activations.linear
    )
