"""rotate follows the axis of the channels; others' activations are left."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated


def convolution(first=True, **options):
    layout = "channels_first" if first else "channels_last"
    return layers.Conv2D(4, 3, padding="same", data_format=layout, **options)


def pooled(first=True):
    layout = "channels_first" if first else "channels_last"
    return layers.GlobalAveragePooling2D(data_format=layout)


def assert_left(i, x, *names):
    """Of a model with a head whose own ReLU is rotated."""
    model = keras.Model(i, layers.Dense(5, "relu", name="head")(x))
    match = f"^rotate left as they are: {', '.join(names)}$"
    with pytest.warns(UserWarning, match=match):
        rotated = rrelu_tf.rotate(model)
    made = [x.name for x in rotated.layers if isinstance(x, Rotated)]
    assert made == ["head_rotated"]
    images = np.random.default_rng(0).normal(size=(2, *i.shape[1:]))
    np.testing.assert_allclose(model(images), rotated(images), atol=1e-5)


@pytest.mark.usefixtures("channels_first")
def test_activations_behind_a_channels_first_convolution_are_left():
    i = keras.Input((3, 6, 8))
    x = layers.ReLU(name="a")(convolution()(i))
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.Activation("silu", name="b")(x)
    x = layers.Add()([x, convolution(activation="relu", name="c")(x)])
    x = layers.Activation("gelu", name="d")(layers.Dropout(0.1)(x))
    x = layers.MaxPooling2D(data_format="channels_first")(x)
    x = layers.ReLU(name="e")(x)
    assert_left(i, pooled()(x), "a", "b", "c", "d", "e")


@pytest.mark.usefixtures("channels_first")
def test_inputs_are_laid_out_as_the_first_layer_reads_them():
    i = keras.Input((3, 6, 8))
    x = convolution()(layers.ReLU(name="a")(i))
    assert_left(i, pooled()(x), "a")


def test_a_normalisation_tells_the_axis():
    i = keras.Input((3, 6, 8))
    x = layers.ReLU(name="a")(layers.BatchNormalization(axis=1)(i))
    assert_left(i, layers.Flatten()(x), "a")


@pytest.mark.usefixtures("channels_first")
def test_a_reshaped_vector_is_laid_out_as_what_follows():
    i = keras.Input((7,))
    x = layers.Reshape((3, 4, 8))(layers.Dense(96)(i))
    x = convolution()(layers.ReLU(name="a")(x))
    assert_left(i, pooled()(x), "a")


@pytest.mark.usefixtures("channels_first")
def test_nested_models_are_laid_out_as_what_they_read():
    inner = keras.Sequential(
        [keras.Input((4, 6, 8)), layers.ReLU(name="a")], name="inner"
    )
    i = keras.Input((3, 6, 8))
    x = layers.ReLU(name="b")(inner(convolution()(i)))
    assert_left(i, pooled()(x), "inner/a", "b")


@pytest.mark.usefixtures("channels_first")
def test_a_model_shared_by_both_layouts_is_left():
    inner = keras.Sequential(
        [keras.Input((4, 4, 4)), layers.ReLU(name="a")], name="inner"
    )
    i = keras.Input((4, 4, 4))
    x = pooled(False)(inner(convolution(False)(i)))
    y = pooled()(inner(convolution()(i)))
    assert_left(i, layers.Concatenate()([x, y]), "inner/a")


@pytest.mark.usefixtures("channels_first")
def test_time_distributed_channels_are_followed():
    i = keras.Input((2, 3, 6, 8))
    x = layers.TimeDistributed(convolution())(i)
    x = layers.Flatten()(layers.ReLU(name="a")(x))
    assert_left(i, x, "a")


@pytest.mark.parametrize(
    "move",
    [
        layers.Permute((2, 3, 1)),
        lambda x: ops.transpose(x, (0, 2, 3, 1)),
        lambda x: ops.moveaxis(x, 1, -1),
    ],
)
def test_channels_that_were_moved_to_the_last_axis_are_rotated(move):
    i = keras.Input((3, 6, 8))
    x = layers.ReLU(name="a")(move(convolution()(i)))
    rotated = rrelu_tf.rotate(keras.Model(i, x))
    assert rotated.get_layer("a").slope.shape == (4,)


@pytest.mark.parametrize(
    "move", [layers.Permute((3, 1, 2)), lambda x: ops.swapaxes(x, 1, 3)]
)
def test_channels_that_were_moved_off_the_last_axis_are_left(move):
    i = keras.Input((6, 8, 3))
    x = layers.ReLU(name="a")(move(convolution(False)(i)))
    assert_left(i, layers.Flatten()(x), "a")


def test_dense_layers_behind_channels_first_ones_are_rotated():
    i = keras.Input((3, 6, 8))
    x = layers.Flatten()(convolution()(i))
    x = layers.ReLU(name="a")(layers.Dense(5)(x))
    rotated = rrelu_tf.rotate(keras.Model(i, x))
    assert rotated.get_layer("a").slope.shape == (5,)


def test_a_net_of_channels_first_alone_is_an_error():
    i = keras.Input((3, 6, 8))
    model = keras.Model(i, layers.ReLU()(convolution()(i)), name="first")
    with pytest.raises(UserError, match="last axis of channels.*model=first$"):
        rrelu_tf.rotate(model)
