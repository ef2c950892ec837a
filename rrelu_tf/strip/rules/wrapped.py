"""SpectralNormalization: the wrapped layer's rule, and the wrapper around."""

import dataclasses

import keras
import numpy as np

from rrelu_tf.strip.rules.base import Rule, value
from rrelu_tf.strip.rules.table import OPAQUE, rule, rule_of


@rule(keras.layers.SpectralNormalization)
class Spectral(Rule):
    """At inference the wrapped layer; in training it rescales the kernel.

    The narrower kernel has a spectral norm of its own: training goes on from
    the same function, by other steps.
    """

    barrier = None

    def covers(self, call):
        """Where a rule knows the wrapped layer."""
        return rule_of(self._inner(call)) is not OPAQUE

    def constant(self, call):
        """As of the wrapped layer."""
        inner = self._inner(call)
        return rule_of(inner).constant(inner)

    def needed(self, call):
        """As of the wrapped layer."""
        inner = self._inner(call)
        return rule_of(inner).needed(inner)

    def twin(self, call):
        """The wrapped layer's twin, wrapped."""
        inner = self._inner(call)
        twin = rule_of(inner).twin(inner)
        config = keras.saving.serialize_keras_object(twin.layer)
        weights = {f"layer.{name}": x for name, x in twin.weights.items()}
        kernel = twin.weights.get("kernel", twin.weights.get("embeddings"))
        vector = value(call.layer.vector_u)
        if kernel.shape[-1] != vector.shape[-1]:
            kept = next(axis for axis in twin.outputs[0] if axis is not None)
            vector = np.where(kept < 0, 0, vector[:, kept])
        weights["vector_u"] = vector
        config = {**call.layer.get_config(), "layer": config}
        layer = type(call.layer).from_config(config)
        return dataclasses.replace(twin, layer=layer, weights=weights)

    def _inner(self, call):
        node = dataclasses.replace(call.node, layer=call.layer.layer)
        return dataclasses.replace(call, node=node)
