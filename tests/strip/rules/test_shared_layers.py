"""A layer that is called several times stays one layer."""

import keras
import pytest
from keras import layers
from planned import IMAGE, rrelu

from rrelu_tf.layers import BatchNormalization

pytestmark = pytest.mark.usefixtures("float64")


def dense():
    return layers.Dense(4, name="shared")


def convolution():
    return layers.Conv2D(4, 3, padding="same", name="shared")


def grouped():
    return layers.Conv2D(4, 3, padding="same", groups=2, name="shared")


def depthwise():
    return layers.DepthwiseConv2D(3, padding="same", name="shared")


SHARED = [
    dense,
    convolution,
    grouped,
    depthwise,
    lambda: BatchNormalization(name="shared"),
    lambda: layers.PReLU(shared_axes=[1, 2], name="shared"),
    lambda: layers.EinsumDense("abcd,de->abce", (None, None, 4), name="shared"),
]


@pytest.mark.parametrize("make", SHARED)
def test_parallel_calls_share_what_either_needs(make, finish, check):
    shared = make()
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "x")(layers.Dense(4, name="a")(i))
    y = rrelu([1, 1, 0, 0], "y")(layers.Dense(4, name="b")(i))
    x = rrelu([1, 0, 0, 1], "p")(shared(x))
    y = rrelu([1, 1, 0, 0], "q")(shared(y))
    model = finish(i, [layers.Dense(2)(x), layers.Dense(2)(y)])
    small = check(model, {})
    found = small.get_layer("shared")
    assert len(found._inbound_nodes) == 2
    assert found.output.shape[-1] <= 4
    assert small.count_params() < model.count_params()


@pytest.mark.parametrize("make", SHARED)
def test_calls_in_sequence_share_what_either_needs(make, finish, check):
    shared = make()
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "x")(layers.Dense(4, name="a")(i))
    x = rrelu([1, 1, 1, 0], "p")(shared(x))
    x = rrelu([1, 0, 1, 0], "q")(shared(x))
    small = check(finish(i, layers.Dense(2)(x)), {"a": 2, "q": 2})
    assert sum(x.name == "shared" for x in small.layers) == 1
    assert len(small.get_layer("shared")._inbound_nodes) == 2


@pytest.mark.parametrize("make", [dense, convolution])
def test_a_channel_that_no_call_needs_goes_from_a_shared_layer(
    make, finish, check
):
    shared = make()
    i, j = keras.Input(IMAGE), keras.Input(IMAGE)
    x = rrelu([1, 0, 0, 1], "p")(shared(i))
    y = rrelu([1, 1, 0, 0], "q")(shared(j))
    model = finish([i, j], [layers.Dense(2)(x), layers.Dense(2)(y)])
    check(model, {"shared": 3, "p": 2, "q": 2})


def test_a_layer_without_weights_may_serve_several_widths(finish, check):
    shared = layers.Activation("tanh", name="shared")
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "x")(layers.Dense(4, name="a")(i))
    y = rrelu([1, 1, 1, 0], "y")(layers.Dense(4, name="b")(i))
    outputs = [layers.Dense(2)(shared(x)), layers.Dense(2)(shared(y))]
    check(finish(i, outputs), {"a": 2, "b": 3})


def test_one_flatten_for_several_widths(finish, check):
    shared = layers.Reshape((30, 4), name="shared")
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "x")(layers.Dense(4, name="a")(i))
    y = rrelu([1, 1, 1, 0], "y")(layers.Dense(4, name="b")(i))
    outputs = [layers.Dense(2)(shared(x)), layers.Dense(2)(shared(y))]
    check(finish(i, outputs), {"a": 2, "b": 3})


@pytest.mark.parametrize("make", [dense, convolution])
def test_a_channel_of_other_constants_for_each_call_is_filled_in(
    make, finish, check
):
    shared = make()
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "x")(layers.Dense(4, name="a")(i))
    y = layers.Activation("sigmoid", name="y")(x)
    outputs = [layers.Dense(2)(shared(x)), layers.Dense(2)(shared(y))]
    small = check(finish(i, outputs), {"a": 2, "x": 2, "y": 2})
    assert small.get_layer("shared").kernel.shape[-2] == 4


def test_constants_along_another_axis_than_a_shared_layers_channels(
    finish, check
):
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    i = keras.Input((4, 4, 4))
    x = rrelu([0, 0, 0, 0], "x")(layers.Dense(4, name="a")(i))
    x = layers.Rescaling(1.0, offset=[1.0, 0.0, 0.0, 2.0])(x)
    x = layers.Permute((1, 3, 2))(x)  # a constant for each column
    both = layers.Concatenate()([shared(x), shared(x)])
    check(finish(i, layers.Dense(2)(both)), {})
