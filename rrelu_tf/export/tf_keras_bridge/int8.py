"""LiteRT files of models that were trained quantisation-aware."""

import warnings

import tensorflow as tf

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2


def write_int8(model, path):
    """Writes a `.tflite` file that computes in int8 where the model does.

    Args:
        model: what `quantize_aware` returned, trained a few steps at the
            least. Inputs and outputs of the file stay float32.
        path: file to write.

    Raises:
        UserError: a model of which nothing was quantised.
    """
    is_quantized = keras_2.is_tf_keras(model) and any(
        type(layer).__name__.startswith("QuantizeWrapper")
        for layer in model.layers
    )
    if not is_quantized:
        raise UserError(
            "write_int8 takes a model of rrelu_tf.export.quantize_aware. "
            f"Received: model={type(model).__name__}"
        )
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with warnings.catch_warnings():
        # The ranges of the inputs are in the model.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        content = converter.convert()
    atomic.write_bytes(path, content)
