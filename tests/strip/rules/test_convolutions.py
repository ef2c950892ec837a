"""Dead channels through convolutions of every kind, and behind them."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import around, rrelu

pytestmark = pytest.mark.usefixtures("float64")

SIDE = 5


def volume(rank, channels=3):
    return (SIDE,) * rank + (channels,)


@pytest.mark.parametrize(("strides", "padding"), [(1, "same"), (2, "valid")])
@pytest.mark.parametrize("suffix", ["", "Transpose"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_go_in_front_of_and_behind_a_convolution(
    rank, suffix, padding, strides, finish, check
):
    kind = getattr(layers, f"Conv{rank}D{suffix}")
    conv = kind(5, 2, padding=padding, strides=strides, name="x")
    i = keras.Input(volume(rank))
    x = conv(rrelu([1, 0, 2, 0], "p")(layers.Dense(4, name="a")(i)))
    x = layers.Dense(2, name="b")(rrelu([0, 1, 0, 1, 1], "q")(x))
    check(finish(i, x), {"a": 2, "p": 2, "x": 3, "q": 3})


@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
def test_a_dilated_convolution(padding, finish, check):
    conv = layers.Conv1D(4, 2, dilation_rate=2, padding=padding, name="x")
    check(finish(*around(conv, (SIDE, 3))), {"a": 2, "act": 2, "x": 4})


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_depthwise_convolution_goes_with_its_channels(
    rank, multiplier, finish, check
):
    kind = getattr(layers, f"DepthwiseConv{rank}D")
    conv = kind(2, depth_multiplier=multiplier, use_bias=False, name="x")
    expected = {"a": 2, "act": 2, "x": 2 * multiplier}
    check(finish(*around(conv, volume(rank))), expected)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_what_nobody_reads_of_a_depthwise_convolution_goes_in_front_of_it(
    multiplier, finish, check
):
    i = keras.Input(volume(2))
    x = layers.Dense(3, name="a")(i)
    x = layers.DepthwiseConv2D(2, depth_multiplier=multiplier, name="x")(x)
    x = rrelu(np.repeat([1, 0, 1], multiplier))(x)
    model = finish(i, layers.Dense(2)(x))
    check(model, {"a": 2, "x": 2 * multiplier, "act": 2 * multiplier})


def test_a_depthwise_bias_behind_a_dead_channel_is_filled_in(finish, check):
    conv = layers.DepthwiseConv2D(2, name="x")
    check(finish(*around(conv)), {"a": 2, "act": 2, "x": 2})


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("rank", [1, 2])
def test_a_separable_convolution(rank, multiplier, finish, check):
    kind = getattr(layers, f"SeparableConv{rank}D")
    conv = kind(5, 2, depth_multiplier=multiplier, name="x")
    i = keras.Input(volume(rank))
    x = conv(rrelu([1, 0, 2, 0], "p")(layers.Dense(4, name="a")(i)))
    x = layers.Dense(2, name="b")(rrelu([0, 1, 0, 1, 1], "q")(x))
    small = check(finish(i, x), {"a": 2, "p": 2, "x": 3, "q": 3})
    shape = small.get_layer("x").pointwise_kernel.shape
    assert shape[-2:] == (2 * multiplier, 3)


@pytest.mark.parametrize(
    ("before", "after", "widths", "groups"),
    [
        # A group that nobody reads goes with its inputs.
        ([1, 1, 1, 1], [1, 1, 0, 0], (2, 2), 1),
        # One without inputs and bias is 0.
        ([1, 1, 0, 0], [1, 1, 1, 1], (2, 2), 1),
        # One in each: all groups get narrower.
        ([1, 0, 0, 1], [0, 1, 1, 0], (2, 2), 2),
        # Uneven: the widest group counts.
        ([1, 0, 1, 1], [1, 1, 1, 0], (3, 4), 2),
    ],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_a_grouped_convolution_is_as_narrow_as_its_widest_group(
    rank, before, after, widths, groups, finish, check
):
    kind = getattr(layers, f"Conv{rank}D")
    i = keras.Input(volume(rank))
    x = rrelu(before, "p")(layers.Dense(4, name="a")(i))
    x = rrelu(after, "q")(kind(4, 2, groups=2, use_bias=False, name="x")(x))
    model = finish(i, layers.Dense(2, name="b")(x))
    small = check(model, dict(zip(("a", "x"), widths, strict=True)))
    assert small.get_layer("x").groups == groups


def test_a_group_without_inputs_is_its_bias(finish, check):
    i = keras.Input(volume(2))
    x = rrelu([0, 0, 1, 1])(layers.Dense(4, name="a")(i))
    x = layers.Conv2D(4, 2, groups=2, name="x")(x)
    small = check(finish(i, layers.Dense(2)(x)), {"a": 2, "x": 2})
    assert small.get_layer("x").groups == 1


@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "gelu"])
def test_a_dead_filter_is_the_activation_of_its_bias(activation, finish, check):
    conv = layers.Conv2D(4, 2, activation=activation, name="x")
    model = finish(*around(conv, slopes=(1, 1)))
    kernel = model.get_layer("x").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 0])
    check(model, {"x": 2, "b": 2})


def test_a_softmax_inside_holds_its_filters_back(finish, check):
    conv = layers.Conv2D(4, 1, activation="softmax", name="x")
    i, x = around(conv)
    check(finish(i, x), {"a": 2, "act": 2, "x": 4})
