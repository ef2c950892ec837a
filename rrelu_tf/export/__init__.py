"""Models in the formats that other programs read."""

_BRIDGE = ("quantize_aware", "to_tf_keras", "write_int8")


def __getattr__(name):
    if name not in _BRIDGE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not at once: command lines import this room before TensorFlow is there.
    from rrelu_tf.export import tf_keras_bridge

    return getattr(tf_keras_bridge, name)
