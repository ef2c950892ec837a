"""Channels on the first axis, where the CPU has the kernels, and where not."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import IMAGE, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import BatchNormalization

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.ZeroPadding2D(1, data_format="channels_first"),
        lambda: layers.Cropping2D(1, data_format="channels_first"),
        lambda: layers.UpSampling2D(2, data_format="channels_first"),
        lambda: layers.SpatialDropout2D(0.5, data_format="channels_first"),
        lambda: BatchNormalization(axis=1, scale=False),
        lambda: layers.BatchNormalization(axis=1),
        lambda: layers.Normalization(1, mean=[1.0] * 4, variance=[2.0] * 4),
        lambda: layers.GroupNormalization(4, axis=1),
        lambda: layers.UnitNormalization(axis=1),
        lambda: layers.ReLU(),
        lambda: layers.PReLU(),
        lambda: layers.PReLU(shared_axes=[2, 3]),
        lambda: layers.Activation("sigmoid"),
    ],
)
def test_dead_channels_go_through_on_the_first_axis(layer, finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(conv(i, 4, "a"))
    x = layer()(layers.Permute((3, 1, 2))(x))
    x = layers.Permute((2, 3, 1), name="back")(x)
    model = finish(i, layers.Dense(2)(x))
    check(model, {"a": 2, "act": 2})


def test_global_pools_and_flatten_on_the_first_axis(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(conv(i, 4, "a"))
    x = layers.Permute((3, 1, 2))(x)
    first = {"data_format": "channels_first"}
    outputs = [
        layers.GlobalAveragePooling2D(**first, name="mean")(x),
        layers.GlobalMaxPooling2D(**first, name="max")(x),
        layers.Flatten(**first, name="flat")(x),
    ]
    outputs = [layers.Dense(2)(x) for x in outputs]
    expected = {"a": 2, "act": 2, "mean": 2, "max": 2, "flat": 60}
    check(finish(i, outputs), expected)


@pytest.mark.parametrize("axis", [1, -3])
def test_concatenation_on_the_first_axis(axis, finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0], "x")(conv(i, 4, "a"))
    y = rrelu([0, 0, 0, 2], "y")(conv(i, 4, "b"))
    x, y = (layers.Permute((3, 1, 2))(t) for t in (x, y))
    x = layers.Concatenate(axis)([x, y])
    x = layers.Permute((2, 3, 1))(x)
    check(finish(i, layers.Dense(2)(x)), {"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (layers.Conv2D, {"filters": 5}),
        (layers.Conv2D, {"filters": 4, "groups": 2}),
        (layers.Conv2DTranspose, {"filters": 5}),
        (layers.DepthwiseConv2D, {"depth_multiplier": 2}),
        (layers.SeparableConv2D, {"filters": 5}),
    ],
)
def test_convolutions_over_channels_first_are_narrowed(kind, options, finish):
    """The CPU cannot run them: shapes and weights only."""
    i = keras.Input((3, 6, 6))
    first = {"data_format": "channels_first", "use_bias": False}
    x = layers.Conv2D(4, 1, **first, name="a")(i)
    x = layers.PReLU(shared_axes=[2, 3], name="p")(x)
    x = kind(kernel_size=1, **first, **options, name="x")(x)
    x = layers.Conv2D(2, 1, **first, name="b")(x)
    model = finish(i, x)
    kernel = model.get_layer("a").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 0])
    small = rrelu_tf.strip(model)
    assert small.get_layer("a").filters == 2
    assert small.get_layer("p").alpha.shape == (2, 1, 1)
    assert small.get_layer("x").input.shape == (None, 2, 6, 6)
    assert small.output_shape == (None, 2, 6, 6)


@pytest.mark.usefixtures("channels_first")
@pytest.mark.parametrize(
    ("kind", "options", "width"),
    [
        (layers.Conv2D, {"filters": 6}, 5),
        (layers.Conv2D, {"filters": 6, "groups": 2}, 6),
        (layers.SeparableConv2D, {"filters": 6}, 5),
    ],
)
def test_filters_are_not_as_many_as_an_image_is_wide(
    kind, options, width, finish, gap
):
    """Keras would lay their bias along its width."""
    keras.config.set_dtype_policy("float32")  # the CPU has no other
    first = {"data_format": "channels_first"}
    i = keras.Input((2, 5, 4))
    x = kind(kernel_size=1, **options, **first, name="x")(i)
    model = finish(i, layers.Conv2D(2, 1, **first, name="b")(x))
    kernel = model.get_layer("b").kernel
    alive = np.reshape([0, 1, 1, 0, 1, 1], (6, 1))
    kernel.assign(kernel.numpy() * alive)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-6
    assert small.get_layer("x").output.shape[1] == width
