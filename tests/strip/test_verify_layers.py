"""verify layer by layer: which one, wherever channels lie, and hidden ones."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.layers import RReLU
from rrelu_tf.strip import NotEquivalent


def fails_at(layer, a, b):
    with pytest.raises(NotEquivalent) as caught:
        rrelu_tf.verify(a, b)
    message = str(caught.value)
    assert caught.value.layer == layer
    assert f"the first layer that differs is {layer}." in message
    assert "\n" not in message
    assert message.endswith(f"Received: a={a.name}, b={b.name}")


def find(model, key):
    layer = model
    for name in key.split("/"):
        layer = layer.get_layer(name)
    return layer


def swap_rows(model, key, i, j):
    """Exchanges what two input channels are multiplied with."""
    kernel = find(model, key).kernel
    values = kernel.numpy()
    values[..., [i, j], :] = values[..., [j, i], :]
    kernel.assign(values)


@pytest.fixture
def off(randomise):
    """Activations that no drawn input switches on, in front of `head`."""
    i = keras.Input((5,))
    x = RReLU(name="act")(layers.Dense(6, name="body")(i))
    x = layers.BatchNormalization(name="norm")(layers.Dense(4, name="late")(x))
    x = layers.ReLU(name="off")(x)
    model = randomise(keras.Model(i, layers.Dense(2, name="head")(x)))
    model.get_layer("act").slope.assign([1, 0, 1, 0, 1, 1])
    model.get_layer("norm").beta.assign([-1e9, -1e9, -1e9, 1.0])
    return model


def test_a_fault_behind_an_activation_that_is_always_off_is_found(off):
    small = rrelu_tf.strip(off)
    proof = rrelu_tf.verify(off, small)
    assert proof.layers == 6
    swap_rows(small, "head", 0, 1)
    probe = np.random.default_rng(0).normal(size=(8, 5))
    assert np.array_equal(off(probe), small(probe))  # it does not show
    fails_at("head", off, small)
    fails_at("head", small, off)


def test_a_fault_in_what_is_always_off_is_found(off):
    small = rrelu_tf.strip(off)
    swap_rows(small, "late", 1, 2)
    for pair in ((off, small), (small, off)):
        fails_at("late", *pair)
    small = rrelu_tf.strip(off)
    small.get_layer("norm").gamma.assign([2, 1, 1, 1])
    fails_at("norm", off, small)


def test_only_a_stripped_model_is_tried_layer_by_layer(off):
    other = keras.models.clone_model(off)
    other.set_weights(off.get_weights())
    assert rrelu_tf.verify(off, other).layers == 0


def test_an_equal_model_that_computes_otherwise_passes(off):
    small = rrelu_tf.strip(off)
    body, late = small.get_layer("body"), small.get_layer("late")
    body.kernel.assign(4 * body.kernel)
    body.bias.assign(4 * body.bias)
    late.kernel.assign(late.kernel / 4)
    assert rrelu_tf.verify(off, small).layers == 4  # not body, not act


def test_inputs_are_drawn_that_switch_far_activations():
    def model(slope):
        i = keras.Input((3, 2))
        x = layers.ReLU(threshold=40.0, name="far")(i)
        return keras.Model(i, layers.Rescaling([slope, 1.0], name="after")(x))

    fails_at("after", model(1.0), model(1.5))


@pytest.mark.usefixtures("channels_first")
def test_channels_on_the_first_axis_are_matched(randomise):
    i = keras.Input((3, 5, 7))
    options = {"padding": "same", "data_format": "channels_first"}
    x = layers.Conv2D(4, 3, name="a", **options)(i)
    x = layers.BatchNormalization(axis=1, name="norm")(x)
    x = layers.Activation("tanh", name="act")(x)
    x = layers.Conv2D(3, 1, name="b", **options)(x)
    model = randomise(keras.Model(i, x))
    masked = rrelu_tf.mask(model, {"a": np.array([1, 0, 1, 1], bool)})
    small = rrelu_tf.strip(masked)
    assert small.get_layer("act").output.shape[1:] == (3, 5, 7)
    assert rrelu_tf.verify(masked, small).layers == 4
    small.get_layer("norm").beta.assign([1, 2, 3])
    fails_at("norm", masked, small)


@pytest.fixture
def nest(randomise):
    """A nested model, in another, called twice."""
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(6, 3, padding="same", name="wide"),
            RReLU(name="act"),
            layers.Conv2D(3, 1, name="narrow"),
        ],
        name="inner",
    )
    i = keras.Input((4, 4, 3))
    x = inner(layers.Activation("tanh", name="plain")(inner(i)))
    outer = keras.Model(i, x, name="outer")
    j = keras.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D(name="pool")(outer(j))
    model = randomise(keras.Model(j, layers.Dense(2, name="head")(x)))
    find(model, "outer/inner/act").slope.assign([1, 1, 0, 0, 1, 0])
    return model


@pytest.mark.parametrize(
    "key", ["outer/inner/wide", "outer/inner/narrow", "head"]
)
def test_a_fault_inside_nested_models_is_named_by_its_path(nest, key):
    small = rrelu_tf.strip(nest)
    assert rrelu_tf.verify(nest, small).dtype == "float64"
    swap_rows(small, key, 1, 2)
    fails_at(key, nest, small)
    fails_at(key, small, nest)


def gathering(randomise):
    """Blocks whose readers want other channels of one stream."""
    i = keras.Input((6, 6, 3))
    x = layers.Conv2D(6, 3, padding="same", name="stem")(i)
    for n in "abc":
        y = RReLU(name=f"{n}_act")(x)
        y = layers.Conv2D(6, 3, padding="same", name=f"{n}_conv")(y)
        x = layers.Add(name=f"{n}_add")([y, x])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = randomise(keras.Model(i, layers.Dense(2, name="head")(x)))
    for n, slopes in (("a", "110110"), ("b", "011101"), ("c", "101011")):
        model.get_layer(f"{n}_act").slope.assign(list(map(int, slopes)))
    return model


@pytest.mark.parametrize("name", "abc")
def test_one_wrong_index_in_a_gather_names_its_reader(name, randomise):
    model = gathering(randomise)
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small).layers >= 12
    gather = small.get_layer(f"{name}_act_gather")
    changed = {"a": [0, 1, 3, 5], "b": [1, 2, 3, 4], "c": [0, 2, 5, 4]}
    wrong = changed[name]
    assert np.sum(np.array(gather.indices) != wrong) in (1, 2)
    config = small.get_config()
    for layer in config["layers"]:
        if layer["name"] == gather.name:
            layer["config"]["indices"] = wrong
    broken = type(small).from_config(config)
    broken.set_weights(small.get_weights())
    fails_at(f"{name}_act", model, broken)


@pytest.mark.parametrize("key", ["a_conv", "b_conv", "c_conv"])
def test_two_swapped_kernel_rows_name_their_layer(key, randomise):
    model = gathering(randomise)
    small = rrelu_tf.strip(model)
    swap_rows(small, key, 0, 2)
    fails_at(key, model, small)


@keras.saving.register_keras_serializable("test_verify_layers")
class Counting(layers.Layer):
    """Counts the times that it computes on numbers."""

    times = []

    def call(self, x):
        if hasattr(x, "_numpy"):
            self.times.append(self.name)
        return x


def test_every_layer_runs_twice_whether_models_agree_or_not(randomise):
    i = x = keras.Input((4,))
    for n in range(4):
        x = Counting(name=f"count{n}")(layers.Dense(4, name=f"dense{n}")(x))
        x = RReLU(name=f"act{n}")(x)
    model = randomise(keras.Model(i, layers.Dense(2, name="head")(x)))
    model.get_layer("act2").slope.assign([1, 0, 1, 0])
    small = rrelu_tf.strip(model)
    every = [f"count{n}" for n in range(4)]
    for change in (False, True):
        if change:
            small.get_layer("dense3").bias.assign([1, 2, 3, 4])
        Counting.times.clear()
        if change:
            fails_at("dense3", model, small)
        else:
            rrelu_tf.verify(model, small)
        assert sorted(Counting.times) == sorted(2 * 2 * every)
