"""Imports TensorFlow without the lines it logs at every start."""

import os

from rrelu_tf import silence


def import_tensorflow():
    """Imports TensorFlow and lets it find its devices, in silence.

    TensorFlow's C++ parts write to stderr before any setting of theirs could
    keep them from it (no GPU here, oneDNN is on). Commands promise one line
    on stderr for an error, so these are dropped. If the import fails, all of
    them are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silence.held_back():
        import tensorflow as tf

        tf.config.list_physical_devices()
