import math

import keras
import numpy as np
import pytest

from rrelu_tf.analysis import accuracy
from rrelu_tf.errors import UserError


def test_figures_are_means_over_examples_not_over_batches():
    logs = {
        0: [math.log(0.9), math.log(0.1)],
        1: [math.log(0.8), math.log(0.2)],
    }

    def classify(images):
        return np.array([logs[image] for image in images])

    batches = [([0, 0, 1], [0, 0, 1]), ([1], [0])]
    score = accuracy.evaluate(classify, batches)
    assert score.accuracy == 3 / 4
    expected = -(2 * math.log(0.9) + math.log(0.2) + math.log(0.8)) / 4
    assert score.loss == pytest.approx(expected)
    assert score.examples == 4


def test_a_model_s_logits_become_log_probabilities():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dropout(0.9)(inputs)
    classify = accuracy.of_model(keras.Model(inputs, outputs))
    logs = np.asarray(classify(np.array([[1.0, 3.0]], "float32")))
    assert np.exp(logs).sum() == pytest.approx(1)
    assert logs[0, 1] - logs[0, 0] == pytest.approx(2)


def test_no_examples_is_one_line():
    with pytest.raises(UserError, match="Received: examples=0$"):
        accuracy.evaluate(lambda images: images, [])
