"""Silences channels of one copy of a model, and brings them back."""

import keras
import numpy as np

from rrelu_tf.pruning.masking import silencers, zero
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import trace, walk


class Silenced:
    """A copy of a model that is masked again and again.

    Attributes:
        model: the copy.
    """

    def __init__(self, model, keys):
        """Copies the model.

        Args:
            model: a functional or built Sequential `keras.Model`.
            keys: what is to be masked: keys as of `rrelu_tf.mask`.

        Raises:
            UserError: a key of a layer that cannot be masked.
        """
        self.model = copy(model)
        self._layers = {}
        for graph, node, key in walk(trace(self.model)):
            if key in keys and key not in self._layers:
                layers = silencers(graph, node, key)
                self._layers[key] = layers, graph.channels(node)
        self._weights = {}  # of layers that are changed: id -> (layer, ...)

    def silence(self, channels):
        """Masks channels as `rrelu_tf.mask` does; all others come back.

        Args:
            channels: (key, channel) pairs.
        """
        for layer, weights in self._weights.values():
            layer.set_weights(weights)
        self._weights = {}
        by_key = {}
        for key, channel in channels:
            by_key.setdefault(key, []).append(channel)
        for key, silent in by_key.items():
            layers, count = self._layers[key]
            gone = np.isin(np.arange(count), silent)
            for layer in layers:
                saved = layer, layer.get_weights()
                self._weights.setdefault(id(layer), saved)
                zero(layer, gone)


class Silencing:
    """Accuracy of a model with its least important channels silent.

    Args:
        model: a `keras.Model` that returns logits; it is left as it is.
        dataset: finite `tf.data.Dataset` of (images, int labels) batches.
        scores: dict: key -> float array (channels,), as `rrelu_tf.score`
            gives.
    """

    def __init__(self, model, dataset, scores):
        self._silenced = Silenced(model, scores)
        self._silenced.model.compile(
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self._dataset = dataset
        self._scores = scores

    def accuracy(self, threshold):
        """Accuracy, in [0, 1], without channels that score at most that."""
        self._silenced.silence(
            (key, channel)
            for key, values in self._scores.items()
            for channel in np.flatnonzero(values <= threshold)
        )
        result = self._silenced.model.evaluate(
            self._dataset, verbose=0, return_dict=True
        )
        return float(result["accuracy"])
