"""Strided convolutions of single pixels score as what they read does."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.layers import AugmentedConv2D, Conv2D
from rrelu_tf.scoring import single_pixels


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_as_if_the_other_pixels_were_not_there(axes, padding):
    check(axes, "channels_last", padding)


@pytest.mark.parametrize("kind", [Conv2D, AugmentedConv2D])
def test_layers_of_this_package(kind):
    check(2, "channels_last", "same", kind)


def test_channels_first():
    check(2, "channels_first", "same")


def check(axes, data_format, padding, conv=None):
    """28 pixels and 8 channels: oneDNN's gradient wrote past its memory."""
    channels, images = 8, 16
    conv = conv or [layers.Conv1D, layers.Conv2D, layers.Conv3D][axes - 1]
    sizes, strides = (28, 27, 4)[:axes], (2, 3, 1)[:axes]
    steps = [slice(None, None, stride) for stride in strides]
    if data_format == "channels_first":
        shape, index = (channels, *sizes), (slice(None), slice(None), *steps)
    else:
        shape, index = (*sizes, channels), (slice(None), *steps)
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(images, *shape)).astype("float32")

    def net(shape, strides):
        image = keras.Input(shape)
        x = conv(
            16,
            1,
            strides=strides,
            padding=padding,
            activation="gelu",
            data_format=data_format,
            name="conv",
        )(image)
        return keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))

    strided = net(shape, strides)
    read = net(pixels[index].shape[1:], 1)
    read.set_weights(strided.get_weights())
    assert single_pixels.skips(strided.get_layer("conv"))
    labels = np.arange(images) % 5
    for method in ("rdt", "fisher", "grasp"):
        found, expected = (
            rrelu_tf.score(model, method, (inputs, labels))["conv"]
            for model, inputs in ((strided, pixels), (read, pixels[index]))
        )
        largest = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, 1e-4, 1e-5 * largest)
