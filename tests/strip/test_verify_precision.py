"""verify where float64 is refused, and where it must not be."""

import keras
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.layers import RReLU
from rrelu_tf.strip import NotEquivalent


def plant(model, layer, weight, place, change):
    """Changes one number of one weight."""
    variable = getattr(model.get_layer(layer), weight)
    values = variable.numpy()
    values.flat[place] = change(values.flat[place])
    variable.assign(values)


@keras.saving.register_keras_serializable("test_verify_precision")
class Refuses(layers.Layer):
    """Takes float32 only."""

    def __init__(self, how="build", **options):
        super().__init__(**options)
        self.how = how

    def build(self, shape):
        if self.how == "build" and self.compute_dtype != "float32":
            raise ValueError("float32 only")

    def call(self, x):
        if self.how == "call" and x.dtype != "float32":
            raise TypeError("float32 only")
        if self.how == "cast":
            x = keras.ops.cast(x, "float32")
        return x * 2

    def get_config(self):
        return {**super().get_config(), "how": self.how}


class Inner(layers.Layer):
    """Has a layer inside that stays in float32."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(4, dtype="float32")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


REFUSING = [
    lambda: Refuses("build"),
    lambda: Refuses("call"),
    lambda: Refuses("cast"),
    Inner,
    lambda: keras.Sequential([layers.Dense(4), Refuses("build")]),
]


@pytest.mark.parametrize("number", range(len(REFUSING)))
def test_a_layer_that_refuses_float64_makes_it_float32(number, randomise):
    i = keras.Input((4,))
    x = RReLU(name="act")(layers.Dense(4, name="a")(i))
    x = layers.Dense(3, name="b")(REFUSING[number]()(x))
    model = randomise(keras.Model(i, x))
    model.get_layer("act").slope.assign([1, 0, 1, 0])
    small = rrelu_tf.strip(model)
    found = rrelu_tf.verify(model, small)
    assert (found.dtype, found.tolerance) == ("float32", 1e-5)
    plant(small, "b", "kernel", 0, lambda x: x + 0.1)
    with pytest.raises(NotEquivalent):
        rrelu_tf.verify(model, small)


def test_an_operation_without_a_float64_kernel_makes_it_float32(randomise):
    i = keras.Input((4, 4, 4, 2))
    x = RReLU(name="act")(layers.Conv3D(4, 3, padding="same")(i))
    model = randomise(keras.Model(i, layers.MaxPooling3D(2)(x)))
    found = rrelu_tf.verify(model, rrelu_tf.strip(model))
    assert found.dtype == "float32"
