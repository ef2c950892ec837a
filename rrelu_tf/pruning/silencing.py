"""Tries thresholds on one model without copying it each time."""

import keras
import numpy as np

from rrelu_tf.layers import Rotated
from rrelu_tf.pruning.masking import copy
from rrelu_tf.strip.graph import trace, walk


class Silencing:
    """Accuracy of a model with its small slopes at 0.

    Args:
        model: a `keras.Model` that returns logits; it is left as it is.
        dataset: finite `tf.data.Dataset` of (images, int labels) batches.
    """

    def __init__(self, model, dataset):
        self._model = copy(model)
        self._model.compile(
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self._dataset = dataset
        self._slopes = [
            (node.layer.slope, keras.ops.convert_to_numpy(node.layer.slope))
            for _, node, _ in walk(trace(self._model))
            if isinstance(node.layer, Rotated)
        ]

    def accuracy(self, threshold):
        """Accuracy, in [0, 1], with every |slope| <= threshold at 0."""
        for variable, slope in self._slopes:
            variable.assign(np.where(np.abs(slope) > threshold, slope, 0))
        result = self._model.evaluate(
            self._dataset, verbose=0, return_dict=True
        )
        return float(result["accuracy"])
