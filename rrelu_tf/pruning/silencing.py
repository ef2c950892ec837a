"""Tries thresholds on one model without copying it each time."""

import keras

from rrelu_tf.pruning.masking import zero
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import trace, walk


class Silencing:
    """Accuracy of a model with its least important channels silent.

    Args:
        model: a `keras.Model` that returns logits; it is left as it is.
        dataset: finite `tf.data.Dataset` of (images, int labels) batches.
        scores: dict: key of a rotated activation or a batch normalisation ->
            float array (channels,), as `rrelu_tf.score` gives.
    """

    def __init__(self, model, dataset, scores):
        self._model = copy(model)
        self._model.compile(
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self._dataset = dataset
        self._scored = [
            (node.layer, node.layer.get_weights(), scores[key])
            for _, node, key in walk(trace(self._model))
            if key in scores
        ]

    def accuracy(self, threshold):
        """Accuracy, in [0, 1], without channels that score at most that."""
        for layer, weights, scores in self._scored:
            layer.set_weights(weights)
            zero(layer, scores <= threshold)
        result = self._model.evaluate(
            self._dataset, verbose=0, return_dict=True
        )
        return float(result["accuracy"])
