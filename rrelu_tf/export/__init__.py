"""Models in the formats that other programs read."""


def __getattr__(name):
    if name != "to_tf_keras":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not at once: command lines import this room before TensorFlow is there.
    from rrelu_tf.export.tf_keras_bridge import to_tf_keras

    return to_tf_keras
