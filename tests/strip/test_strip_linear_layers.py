"""strip on convs, norms, activations and Flatten, one trap each."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import IMAGE, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import BatchNormalization

pytestmark = pytest.mark.usefixtures("float64")


def test_conv_to_conv(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0, -1])(conv(i, 5, "a"))
    model = finish(i, conv(x, 2, "b"))
    small = check(model, {"a": 3, "act": 3, "b": 2})
    assert small.get_layer("b").kernel.shape == (3, 3, 3, 2)
    assert small.kept["a"] == [0, 2, 4]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convs_of_every_rank_and_dense_on_top(rank, finish, check):
    kind = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[rank - 1]
    pool = getattr(layers, f"MaxPooling{rank}D")
    spatial = getattr(layers, f"GlobalAveragePooling{rank}D")
    pad = getattr(layers, f"ZeroPadding{rank}D")
    drop = getattr(layers, f"SpatialDropout{rank}D")
    i = keras.Input((6,) * rank + (2,))
    x = rrelu([0, 1, 0, -2])(kind(4, 3, name="a", strides=2)(pad(1)(i)))
    if rank < 3:  # TensorFlow pools no volumes in float64
        x = pool(2)(x)
    x = BatchNormalization(name="bn")(drop(0.5)(x))
    x = layers.Dense(3, name="d")(spatial()(x))
    model = finish(i, x)
    # The norm turns the dead channels into constants, which are filled in.
    check(model, {"a": 2, "act": 2, "bn": 2, "d": 3})
    silent = finish(i, x)
    norm = silent.get_layer("bn")
    for name in ("gamma", "beta"):
        getattr(norm, name).assign(getattr(norm, name).numpy() * [0, 1, 0, 1])
    check(silent, {"a": 2, "act": 2, "bn": 2, "d": 3})


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", [BatchNormalization, None])
def test_norms_with_and_without_scale_and_center(
    scale, center, kind, finish, check
):
    kind = kind or layers.BatchNormalization
    i = keras.Input(IMAGE)
    x = conv(i, 4, "a", use_bias=False)
    x = kind(scale=scale, center=center, name="bn")(x)
    model = finish(i, conv(layers.ReLU()(x), 2, "b"))
    keep = {"a": np.array([True, False, True, False])}
    check(rrelu_tf.mask(model, keep), {"a": 2, "bn": 2, "b": 2})
    # A zero filter before statistics that are not zero is a constant.
    kernel = model.get_layer("a").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 0])
    check(model, {"a": 2, "bn": 2, "b": 2})


@pytest.mark.parametrize(
    ("activation", "width"),
    [
        ("relu", 2),
        ("tanh", 2),
        ("gelu", 2),
        ("leaky_relu", 2),
        ("sigmoid", 2),  # f(0) is not 0: constants are filled in
        ("softplus", 2),
        ("exponential", 2),
        ("softmax", 5),  # mixes channels: kept whole
        ("log_softmax", 5),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_activations(activation, width, inside, finish, check):
    i = keras.Input((4,))
    if inside:
        x = layers.Dense(5, activation=activation, name="a")(i)
    else:
        x = layers.Dense(5, name="a")(i)
        x = layers.Activation(activation, name="f")(x)
    model = finish(i, layers.Dense(2, name="b")(x))
    for variable in model.get_layer("a").weights:
        variable.assign(variable.numpy() * [0, 1, 0, 0, 1])
    names = ("a", "b") if inside else ("f", "b")
    check(model, dict(zip(names, (width, 2), strict=True)))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_dead_code_before_a_mixing_activation_is_still_found(
    activation, finish, check
):
    i = keras.Input((4,))
    x = rrelu([1, 0, 1])(layers.Dense(3, name="a")(i))
    x = layers.Dense(5, activation=activation, name="b")(x)
    check(finish(i, x), {"a": 2, "b": 5})


@pytest.mark.parametrize(
    ("layer", "width"),
    [
        (lambda: layers.ReLU(max_value=1.0), 2),
        (lambda: layers.ReLU(negative_slope=0.1, threshold=0.3), 2),
        (lambda: layers.LeakyReLU(), 2),
        (lambda: layers.ELU(), 2),
        (lambda: layers.PReLU(), 2),
        (lambda: layers.Dropout(0.5), 2),
        (lambda: layers.Dropout(0.5, noise_shape=(None, 1, 1, 4)), 4),
    ],
)
def test_activation_layers(layer, width, finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 1, 0, 1])(conv(i, 4, "a"))
    x = layer()(x)
    model = finish(i, conv(x, 2, "b"))
    check(model, {"a": 2, model.layers[-2].name: width})


def test_flatten_then_dense(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 0, 1, 1])(conv(i, 5, "a"))
    x = layers.Flatten(name="flat")(x)
    model = finish(i, layers.Dense(4, name="d")(x))
    check(model, {"a": 3, "flat": 90, "d": 4})


def test_flatten_frees_a_channel_only_when_no_position_is_read(finish, check):
    i = keras.Input((3, 2, 2))
    x = layers.Flatten(name="flat")(conv(i, 4, "a"))
    model = finish(i, layers.Dense(4, name="d")(x))
    kernel = model.get_layer("d").kernel
    values = kernel.numpy().reshape(6, 4, 4)
    values[:, 1] = 0
    values[:5, 2] = 0
    kernel.assign(values.reshape(24, 4))
    check(model, {"a": 3, "flat": 18})


@pytest.mark.parametrize("cause", ["its filter", "its inputs"])
def test_a_bias_alone_is_a_constant_that_goes(cause, finish, check):
    i = keras.Input(IMAGE)
    slopes = [0, 0, 0] if cause == "its inputs" else [1, 1, 1]
    x = rrelu(slopes)(conv(i, 3, "a"))
    model = finish(i, conv(conv(x, 4, "b"), 2, "c"))
    b = model.get_layer("b")
    if cause == "its filter":
        b.kernel.assign(b.kernel.numpy() * [1, 1, 0, 0])
    b.bias.assign(b.bias.numpy() * [1, 0, 1, 0])
    # A layer of constants keeps one channel, for its shape.
    live = 2 if cause == "its filter" else 1
    check(model, {"b": live, "c": 2})


def test_a_norms_offset_alone_is_a_constant_that_goes(finish, check):
    i = keras.Input(IMAGE)
    x = BatchNormalization(name="bn")(conv(i, 4, "a"))
    model = finish(i, conv(x, 2, "b"))
    norm = model.get_layer("bn")
    norm.gamma.assign(norm.gamma.numpy() * [0, 1, 0, 1])
    norm.beta.assign(norm.beta.numpy() * [1, 1, 0, 1])
    check(model, {"bn": 2, "b": 2})
