"""tf_keras and TFMOT, loaded so that the rest of the process stays as it is."""

import functools
import os
import warnings

import tensorflow as tf

_FLAG = "TF_USE_LEGACY_KERAS"


@functools.cache
def load():
    """The two packages, imported at the first call.

    Importing TFMOT sets `TF_USE_LEGACY_KERAS=1`, which would make `tf.keras`
    another Keras from then on, in child processes too: that is taken back.

    Returns:
        (`tf_keras`, `tensorflow_model_optimization`).
    """
    before = os.environ.get(_FLAG)
    # TensorFlow decides at the first access which Keras `tf.keras` is.
    tf.keras.layers  # noqa: B018
    try:
        with warnings.catch_warnings():  # what both say of their own imports
            warnings.simplefilter("ignore", DeprecationWarning)
            import tensorflow_model_optimization as tfmot
            import tf_keras
    finally:
        if before is None:
            os.environ.pop(_FLAG, None)
        else:
            os.environ[_FLAG] = before
    return tf_keras, tfmot
