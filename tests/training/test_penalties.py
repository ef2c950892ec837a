"""L1 on slopes and on BN scales."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.training import penalties


@pytest.fixture
def net():
    return rrelu_tf.models.create(
        "resnet20", num_classes=3, input_shape=(8, 8, 1), activation="rrelu"
    )


def is_rotated(layer):
    return isinstance(layer, rrelu_tf.layers.RReLU)


def gradient(model, variable):
    with tf.GradientTape() as tape:
        loss = sum(model.losses)
    return tape.gradient(loss, variable.value).numpy()


def test_the_gradient_is_the_factor_times_the_sign(net):
    penalties.give(net, slope_l1=1e-2, gamma_l1=1e-3)
    slope = net.get_layer("layer1_0_rrelu1").slope
    slope.assign(np.linspace(-1, 1, 16))
    slope.assign(np.where(np.arange(16) == 3, 0, slope.numpy()))
    np.testing.assert_allclose(
        gradient(net, slope), 1e-2 * np.sign(slope.numpy()), rtol=1e-6
    )
    gamma = net.get_layer("bn1").gamma
    np.testing.assert_allclose(gradient(net, gamma), 1e-3, rtol=1e-6)


def test_a_penalty_is_saved_with_the_model(net, tmp_path):
    penalties.give(net, slope_l1=1e-2, gamma_l1=1e-3)
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    expected = float(sum(net.losses))
    assert float(sum(again.losses)) == pytest.approx(expected, rel=1e-5)


def test_a_penalty_of_another_run_is_replaced_or_taken_off(net):
    penalties.give(net, slope_l1=1e-2, gamma_l1=1e-3)
    penalties.give(net, slope_l1=0.5)
    slope = net.get_layer("layer1_0_rrelu1").slope
    slope.assign(np.ones(16))
    np.testing.assert_array_equal(gradient(net, slope), 0.5)
    assert net.get_layer("bn1").gamma_regularizer is None
    assert len(net.losses) == len([x for x in net.layers if is_rotated(x)])
    penalties.give(net)
    assert net.losses == []


def test_regularisers_of_other_kinds_stay():
    i = keras.Input((2,))
    square = keras.regularizers.L2(0.5)
    x = rrelu_tf.layers.RReLU(slope_regularizer=square)(i)
    model = keras.Model(i, keras.layers.Dense(2, kernel_regularizer="l1")(x))
    penalties.give(model)
    assert len(model.losses) == 2


@pytest.mark.parametrize("option", ["slope_l1", "gamma_l1"])
def test_a_penalty_on_what_is_not_there_is_an_error(option):
    i = keras.Input((2,))
    model = keras.Model(i, keras.layers.Dense(2)(i))
    with pytest.raises(UserError, match=f"Received: {option}=0.5$"):
        penalties.give(model, **{option: 0.5})
