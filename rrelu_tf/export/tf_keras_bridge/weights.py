"""Weights from Keras 3 layers to their tf_keras twins."""

import keras

from rrelu_tf.export.tf_keras_bridge.configuration import refusal
from rrelu_tf.export.tf_keras_bridge.optimizable import STOCK

# Keras 3 calls it otherwise in `DepthwiseConv2D` alone.
_RENAMED = {"depthwise_kernel": "kernel"}


def copy(layer, twin):
    """Gives a built tf_keras layer a Keras 3 layer's weights.

    Args:
        layer: the Keras 3 layer.
        twin: the tf_keras layer.

    Raises:
        UserError: the two have other weights, by name or shape.
    """
    if isinstance(twin, STOCK["Normalization"]):
        return
    source = [(_described(weight), weight) for weight in layer.weights]
    theirs = [described for described, _ in source]
    ours = [_described(weight) for weight in twin.weights]
    if len(set(ours)) == len(ours) == len(theirs) and set(ours) == set(theirs):
        source.sort(key=lambda pair: ours.index(pair[0]))
    elif theirs != ours:
        raise refusal(layer, f"tf_keras's has the weights {ours}, not {theirs}")
    twin.set_weights(
        [keras.ops.convert_to_numpy(weight) for _, weight in source]
    )


def _described(weight):
    """A weight's own name and shape, of either Keras."""
    name = weight.name.rpartition("/")[2].partition(":")[0]
    return _RENAMED.get(name, name), *weight.shape
