"""LiteRT files of models that were trained quantisation-aware."""

import warnings

import numpy as np
import tensorflow as tf

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.export import packages
from rrelu_tf.export.fresh_process import ExportError
from rrelu_tf.strip import keras_2

_SAMPLES = 16
_NOISE = 0.1  # share of an output's power: 10 dB, as rrelu_tf.export's int8


def write_int8(model, path):
    """Writes a `.tflite` file that computes in int8 where the model does.

    The file appears only after LiteRT loaded it and, on random inputs, gave
    the model's outputs: with noise of at most a tenth of their power, or of
    one step of their own 8 bits.

    Args:
        model: what `quantize_aware` returned, trained a few steps at the
            least. Inputs and outputs of the file stay float32.
        path: file to write.

    Raises:
        UserError: a model of which nothing was quantised; without the package
            ai_edge_litert.
        ExportError: the file gives other outputs.
    """
    is_quantized = keras_2.is_tf_keras(model) and any(
        type(layer).__name__.startswith("QuantizeWrapper")
        for layer in getattr(model, "layers", ())
    )
    if not is_quantized:
        raise UserError(
            "write_int8 takes a model of rrelu_tf.export.quantize_aware. "
            f"Received: model={type(model).__name__}"
        )
    packages.check(["ai_edge_litert"], f"path={path}")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with warnings.catch_warnings():
        # The ranges of the inputs are in the model.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        content = converter.convert()
    with atomic.path(path) as temporary:
        temporary.write_bytes(content)
        _verify(temporary, model)


def _verify(path, model):
    """Runs the file, and compares."""
    from ai_edge_litert.interpreter import Interpreter

    draw = np.random.default_rng(0)
    inputs = [
        draw.normal(size=(_SAMPLES, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    ]
    run = Interpreter(model_path=str(path)).get_signature_runner()
    outputs = run(**dict(zip(model.input_names, inputs, strict=True)))
    made = tf.nest.flatten(model(inputs, training=False))
    for name, expected in zip(model.output_names, made, strict=True):
        _compare(name, outputs[name], expected.numpy())


def _compare(name, given, expected):
    # LiteRT rounds to another of the 256 values here and there.
    step = np.diff(np.unique(expected)).min(initial=np.abs(expected).max())
    most = max(_NOISE * np.var(expected), np.square(step))
    error = np.square(given - expected).mean()
    if not error <= most:
        raise ExportError(
            "An int8 file must give its model's outputs, with a mean square "
            f"error of at most {most:.3g}. Received: {name}={error:.3g}"
        )
