"""The degree of orthogonality, without the authors' choices."""

import keras
import numpy as np
import pytest
from keras import layers

from rrelu_tf.analysis import orthogonality
from rrelu_tf.errors import UserError


def net(kernel, **options):
    made = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], name="conv")
    i = keras.Input((4, 4, kernel.shape[2]))
    x = layers.Flatten()(made(i))
    model = keras.Model(i, layers.Dense(2, name="head")(x))
    made.set_weights([kernel, options.get("bias", np.zeros(kernel.shape[-1]))])
    return model


def test_filters_that_are_orthogonal_have_degree_1_whatever_their_length():
    kernel = np.diag([1.0, 5.0, 0.1]).reshape(1, 1, 3, 3)
    assert orthogonality(net(kernel)) == {"conv": 1.0}


def test_filters_that_are_the_same_have_degree_1_over_their_number():
    kernel = np.ones((3, 3, 2, 4))
    assert orthogonality(net(kernel))["conv"] == pytest.approx(1 / 4)


def test_a_layer_of_zeros_has_degree_1():
    assert orthogonality(net(np.zeros((3, 3, 2, 4)))) == {"conv": 1.0}


def test_the_smaller_side_is_measured():
    kernel = np.random.default_rng(0).normal(size=(1, 1, 2, 5))
    w = kernel.astype("float32").astype("float64").reshape(2, 5)
    g = np.abs(w @ w.T)
    wanted = np.trace(g) / g.sum()
    assert orthogonality(net(kernel))["conv"] == pytest.approx(wanted, rel=1e-9)


def test_bias_and_dense_layers_are_options():
    kernel = np.eye(3).reshape(1, 1, 3, 3)
    model = net(kernel, bias=np.ones(3))
    assert orthogonality(model)["conv"] == 1
    found = orthogonality(model, bias=True, dense=True)
    assert list(found) == ["conv", "head"]
    assert found["conv"] == pytest.approx(6 / 12)  # I + 1 of 3 x 3


def test_the_protocol_decides_what_is_not_given():
    model = net(np.eye(3).reshape(1, 1, 3, 3))
    with pytest.raises(UserError, match="Received: bias=True$"):
        orthogonality(model, bias=True, protocol="seed")
    with pytest.raises(UserError, match="Received: protocol=wrong$"):
        orthogonality(model, protocol="wrong")
