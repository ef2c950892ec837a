"""Loads an exported model where this package does not exist."""

import subprocess
import sys
import tempfile

import numpy as np


class ExportError(RuntimeError):
    """What was written does not compute what the source model computes."""


# The process sees neither the checkout nor an installed rrelu_tf.
_SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "rrelu_tf":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
try:
    import rrelu_tf
except ModuleNotFoundError:
    import numpy as np
    import tensorflow as tf

    folder, file = sys.argv[1:]
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    with np.load(file) as given:
        answer = serve(images=tf.constant(given["images"]))
    np.savez(file, **{name: value.numpy() for name, value in answer.items()})
else:
    sys.exit("rrelu_tf could be imported")
"""


def check(folder, images, probabilities, *, tolerance=1e-5):
    """Compares a SavedModel's answers in a process without rrelu_tf.

    Args:
        folder: the SavedModel's folder.
        images: uint8 `(b, height, width, channels)`, raw.
        probabilities: float `(b, classes)`, what the source model gives.
        tolerance: largest difference of a probability.

    Returns:
        float, the largest difference.

    Raises:
        ExportError: the process failed, or its answers differ by more.
    """
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file.name, images=np.asarray(images))
        done = subprocess.run(
            [sys.executable, "-I", "-c", _SCRIPT, str(folder), file.name],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            reason = lines[-1] if lines else f"exit code {done.returncode}"
            raise ExportError(
                f"A fresh process must load the SavedModel, but: {reason}. "
                f"Received: folder={folder}"
            )
        with np.load(file.name) as answer:
            given = answer["probabilities"]
    difference = float(np.abs(given - probabilities).max())
    if not difference <= tolerance:
        raise ExportError(
            "A fresh process must get the source model's probabilities, "
            f"within {tolerance:g}. Received: difference={difference:.3g}"
        )
    return difference
