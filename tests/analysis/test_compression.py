"""A model beside its dense source."""

import keras
from keras import layers

from rrelu_tf.analysis import compression


def net(width):
    inputs = keras.Input((64,))
    return keras.Model(inputs, layers.Dense(width)(inputs))


def test_ratios_are_those_of_parameters_and_of_files():
    found = compression(net(64), net(1024))
    assert (found.params, found.dense_params) == (65 * 64, 65 * 1024)
    assert found.params_ratio == 16
    weights = 4 * (found.dense_params - found.params)
    assert abs(found.dense_file_bytes - found.file_bytes - weights) < 16
    assert found.file_ratio == found.dense_file_bytes / found.file_bytes < 16
    assert "66,560" in found.table() and "16.00" in found.table()


def test_an_optimizer_does_not_count():
    trained, plain = net(64), net(64)
    trained.compile("adam", "mse")
    trained.optimizer.build(trained.trainable_variables)
    found = compression(trained, plain)
    assert abs(found.file_bytes - found.dense_file_bytes) < 16
