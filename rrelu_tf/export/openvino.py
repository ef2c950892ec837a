"""OpenVINO's intermediate representation, an `.xml` and a `.bin` file."""

import numpy as np


def write(model, path, representative=None):
    """Writes the two files of a model of `pixels.from_pixels`."""
    del representative
    model.export(str(path), format="openvino", verbose=False)


def load(path):
    """The files as a function of images `(batch, ...)` to logits, in float32.

    OpenVINO computes in bfloat16 where the CPU has it, unless told not to.
    """
    import openvino

    compiled = openvino.Core().compile_model(
        str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    def classify(images):
        return compiled({"images": np.asarray(images, np.float32)})["logits"]

    return classify
