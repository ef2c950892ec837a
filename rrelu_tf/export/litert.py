"""LiteRT (TensorFlow Lite) files: float32, float16 weights, or int8."""

import numpy as np
import tensorflow as tf


def write(model, path, representative=None, *, weights="float32"):
    """Writes a `.tflite` file, of LiteRT's own operations alone.

    Args:
        model: of `pixels.from_pixels`.
        path: file to write, ending in `.tflite`.
        representative: float32 `(n, *image_shape)`, values 0..255, from which
            int8 takes its ranges.
        weights: "float32"; "float16", computed with in float32; or "int8", with
            uint8 images in, float32 logits out and all between in int8.
    """
    lite, options = tf.lite, {}
    operations = [lite.OpsSet.TFLITE_BUILTINS]
    if weights != "float32":
        options["optimizations"] = [lite.Optimize.DEFAULT]
    target = {"supported_ops": operations}
    if weights == "float16":
        target["supported_types"] = [tf.float16]
    if weights == "int8":
        target["supported_ops"] = [lite.OpsSet.TFLITE_BUILTINS_INT8]
        representative = np.array(representative)
        # So that the input's range is whole, and a uint8 pixel its own value.
        representative[0].flat[[0, -1]] = 0, 255
        options["representative_dataset"] = lambda: (
            [image[None]] for image in representative
        )
        options["inference_input_type"] = tf.uint8
    model.export(
        str(path),
        format="litert",
        verbose=False,
        target_spec=target,
        **options,
    )


def load(path):
    """The file as a function of images `(batch, ...)` to logits, by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    (taken,) = interpreter.get_input_details()
    (given,) = interpreter.get_output_details()
    shape = None

    def classify(images):
        nonlocal shape
        images = np.asarray(images).astype(taken["dtype"])
        if shape != images.shape:
            shape = images.shape
            interpreter.resize_tensor_input(taken["index"], shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(taken["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return classify
