"""Layers of one's own, once they are registered."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from planned import around, rrelu

import rrelu_tf
from rrelu_tf.errors import UserError

pytestmark = pytest.mark.usefixtures("float64")


@rrelu_tf.strip.register
@keras.saving.register_keras_serializable("test_registered_layers")
class Scaled(layers.Layer):
    """`x * gamma`, told how many channels there are."""

    def __init__(self, projection_dim, **options):
        super().__init__(**options)
        self.projection_dim = projection_dim

    def build(self, shape):
        self.gamma = self.add_weight(shape=(self.projection_dim,), name="gamma")

    def call(self, x):
        return x * self.gamma

    def get_config(self):
        return {**super().get_config(), "projection_dim": self.projection_dim}


@rrelu_tf.strip.register
@keras.saving.register_keras_serializable("test_registered_layers")
class Bent(layers.Layer):
    """A PReLU of its own: zeros of alpha make no zeros."""

    def build(self, shape):
        self.alpha = self.add_weight(shape=(shape[-1],), name="alpha")

    def call(self, x):
        return ops.where(x > 0, x, x * self.alpha)


@rrelu_tf.strip.register
@keras.saving.register_keras_serializable("test_registered_layers")
class Mixed(layers.Layer):
    """Two inputs, one weight between them."""

    def build(self, shapes):
        self.part = self.add_weight(shape=(shapes[0][-1],), name="part")

    def call(self, inputs):
        x, y = inputs
        return x * self.part + y * (1.0 - self.part)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 5, 3)])
@pytest.mark.parametrize(
    "layer", [lambda: Scaled(4, name="x"), lambda: Bent(name="x")]
)
def test_dead_channels_go_through(layer, shape, finish, check):
    check(finish(*around(layer(), shape)), {"a": 2, "act": 2, "x": 2})


def test_zeros_of_a_scale_are_dead_channels(finish, check):
    i, x = around(Scaled(4, name="x"), slopes=(1, 1, 1, 1))
    model = finish(i, x)
    model.get_layer("x").gamma.assign([1.0, 0.0, 0.0, 2.0])
    small = check(model, {"a": 2, "x": 2})
    assert small.get_layer("x").projection_dim == 2


def test_zeros_of_another_weight_are_not(finish, check):
    i, x = around(Bent(name="x"), slopes=(1, 1, 1, 1))
    model = finish(i, x)
    model.get_layer("x").alpha.assign([1.0, 0.0, 0.0, 2.0])
    check(model, {"a": 4, "x": 4})


def test_two_inputs_are_as_wide_as_either_needs(finish, check):
    i = keras.Input((5, 3))
    x = rrelu([1, 0, 2, 0], "x")(layers.Dense(4, name="a")(i))
    y = rrelu([1, 1, 0, 0], "y")(layers.Dense(4, name="b")(i))
    x = Mixed(name="mixed")([x, y])
    check(finish(i, layers.Dense(2)(x)), {"mixed": 3, "x": 2, "y": 2})


def test_what_is_not_registered_is_a_barrier(finish, check):
    class Unknown(Scaled):
        pass

    i, x = around(Unknown(4, name="x"))
    check(finish(i, x), {"a": 2, "act": 2, "x": 4})


def test_only_classes_of_layers_can_be_registered():
    with pytest.raises(UserError, match="Received: layer_class"):
        rrelu_tf.strip.register(np.ndarray)


@pytest.mark.parametrize(
    "layer_class",
    [
        layers.Activation,
        layers.Dense,
        layers.LSTM,
        layers.Lambda,
        layers.Layer,
        keras.Model,
        rrelu_tf.layers.RReLU,
    ],
)
def test_classes_of_keras_or_with_a_rule_keep_theirs(layer_class):
    with pytest.raises(UserError, match=f"Received: .*{layer_class.__name__}"):
        rrelu_tf.strip.register(layer_class)


def test_a_class_can_be_registered_again():
    assert rrelu_tf.strip.register(Scaled, scale="gamma") is Scaled
    assert rrelu_tf.strip.register(Scaled) is Scaled


@pytest.mark.parametrize(
    ("options", "received"),
    [({"axis": 1}, "axis=1"), ({"scale": 2}, "scale=2")],
)
def test_unknown_options_are_refused(options, received):
    with pytest.raises(UserError, match=f"Received: {received}$"):
        rrelu_tf.strip.register(Scaled, **options)
