"""ONNX files, by Keras's exporter and tf2onnx; run by ONNX Runtime."""

import warnings

import numpy as np


def write(model, path, representative=None):
    """Writes an `.onnx` file of a model of `pixels.from_pixels`."""
    del representative
    # Keras 3.15 exports to ONNX only what was called.
    model(np.zeros((1, *model.input_shape[1:]), np.float32))
    with warnings.catch_warnings():
        # Keras 3.15's bridge to tf2onnx asks NumPy 2 for names it has not.
        warnings.simplefilter("ignore", FutureWarning)
        model.export(str(path), format="onnx", verbose=False)


def load(path):
    """The file as a function of images `(batch, ...)` to logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )

    def classify(images):
        images = np.asarray(images, np.float32)
        (logits,) = session.run(["logits"], {"images": images})
        return logits

    return classify
