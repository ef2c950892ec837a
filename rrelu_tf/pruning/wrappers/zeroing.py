"""Holds masked channels at zero."""

import keras
import tensorflow as tf
from keras import ops

from rrelu_tf.pruning.masking import making, silencers
from rrelu_tf.pruning.wrappers.bare import bare_layers
from rrelu_tf.strip.graph import trace, walk


class Zeroing:
    """Zeroes what wrappers' masks leave out, in one graph."""

    def __init__(self, model, twin, wrappers):
        """Finds what makes the channels.

        Args:
            model: the wrapped `keras.Model`.
            twin: what `bare` makes of it.
            wrappers: dict: key -> wrapper whose mask is to be kept to.
        """
        layers = bare_layers(model)
        keys = {id(layer): key for key, layer in bare_layers(twin).items()}
        self._made = []  # (variable, the axes of its channels, mask)
        for graph, node, key in walk(trace(twin)):
            if key not in wrappers:
                continue
            for silencer in silencers(graph, node, key):
                for variable, axes in making(layers[keys[id(silencer)]]):
                    self._made.append((variable, axes, wrappers[key].mask))
        self._run = tf.function(self._zero)

    def __call__(self):
        """Zeroes."""
        self._run()

    def _zero(self):
        for variable, axes, mask in self._made:
            shape = [
                size if axis in axes else 1
                for axis, size in enumerate(variable.shape)
            ]
            stays = ops.reshape(ops.convert_to_tensor(mask) > 0, shape)
            values = keras.ops.convert_to_tensor(variable)
            variable.assign(ops.where(stays, values, ops.zeros_like(values)))
