"""A call of a `keras.ops` function as a tf_keras layer."""

import json

import keras

from rrelu_tf.export.tf_keras_bridge import legacy
from rrelu_tf.export.tf_keras_bridge.optimizable import Optimizable, register
from rrelu_tf.export.tf_keras_bridge.quantize_configs import Computed, Moved

tf_keras, _ = legacy.load()

# Keras operations that move values and compute none.
_MOVING = (
    *("Take", "GetItem", "Reshape", "Transpose", "Squeeze", "ExpandDims"),
    *("Flip", "Swapaxes", "Moveaxis", "BroadcastTo", "Repeat", "Tile"),
)


@register
class Operation(Optimizable, tf_keras.layers.Layer):
    """Runs a Keras 3 operation on TensorFlow's tensors.

    Args:
        operation: a serialised `keras.Operation`.
        arguments: serialised `[args, kwargs]` of its call, where
            `{"tensor": i}` stands for the layer's input number i.
        **kwargs: `name`, `dtype`.

    Input shape:
        One tensor, or a list of several.
    """

    def __init__(self, operation, arguments, **kwargs):
        super().__init__(**kwargs, autocast=False)
        # As text: tf_keras would wrap dicts and lists.
        self._stored = json.dumps([operation, arguments])
        self._run = keras.saving.deserialize_keras_object(operation)

    def call(self, inputs):
        """What the operation makes of `inputs`."""
        tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        _, arguments = json.loads(self._stored)
        given = keras.saving.deserialize_keras_object(arguments)
        args, kwargs = _filled(given, tensors)
        return self._run(*args, **kwargs)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        config = super().get_config()
        config.pop("autocast", None)
        operation, arguments = json.loads(self._stored)
        return {**config, "operation": operation, "arguments": arguments}

    def quantize_config(self):
        """The output in 8 bits, unless its values are the input's."""
        one = not isinstance(self.input, (list, tuple))
        if not one or isinstance(self.output, (list, tuple)):
            return None
        return Moved() if type(self._run).__name__ in _MOVING else Computed()


def _filled(structure, tensors):
    """The structure with the tensors where `{"tensor": i}` stands."""
    if isinstance(structure, dict):
        if set(structure) == {"tensor"}:
            return tensors[structure["tensor"]]
        return {key: _filled(v, tensors) for key, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(_filled(v, tensors) for v in structure)
    return structure
