"""Channels that meet go together: coupled, and strip(align="couple")."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import rrelu

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip.coupling import coupled

pytestmark = pytest.mark.usefixtures("float64")


def conv(x, filters, name, size=3):
    return layers.Conv2D(filters, size, padding="same", name=name)(x)


@pytest.fixture
def residual(randomise):
    """Two branches and a stem that meet in Adds, and a free conv inside."""
    x = inputs = keras.Input((6, 6, 3))
    x = conv(x, 6, "stem")
    for block in "ab":
        y = layers.ReLU()(conv(x, 4, f"{block}1"))
        y = layers.BatchNormalization(name=f"{block}n")(conv(y, 6, f"{block}2"))
        x = layers.ReLU()(layers.Add(name=f"{block}add")([y, x]))
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    return randomise(keras.Model(inputs, outputs))


def same(a, b):
    return np.array_equal(a, b)


def test_what_meets_in_an_add_is_one_channel(residual):
    ties = coupled(residual, ["stem", "a1", "a2", "an", "b2"])
    for key in ("a2", "an", "b2"):
        assert same(ties[key], ties["stem"])
    assert not set(ties["a1"]) & set(ties["stem"])
    assert len(set(ties["stem"])) == 6


def test_concatenations_and_depthwise_layers_carry_ties(randomise):
    inputs = keras.Input((6, 6, 3))
    a, b = conv(inputs, 2, "a"), conv(inputs, 3, "b")
    x = layers.Concatenate()([a, b])
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="d")(
        x
    )
    y = conv(inputs, 10, "c")
    model = keras.Model(inputs, layers.Multiply()([x, y]))
    ties = coupled(model, ["a", "b", "c", "d"])
    assert same(ties["c"], ties["d"])
    assert same(ties["d"], np.repeat([*ties["a"], *ties["b"]], 2))


def test_groups_of_a_group_normalisation_are_tied():
    inputs = keras.Input((6, 6, 3))
    x = layers.GroupNormalization(2, name="n")(conv(inputs, 6, "a"))
    ties = coupled(keras.Model(inputs, x), ["a", "n"])
    assert same(ties["a"], ties["n"])
    assert [len(set(ties["a"][i : i + 3])) for i in (0, 3)] == [1, 1]
    assert ties["a"][0] != ties["a"][3]


def test_ties_reach_into_nested_models_and_calls_of_a_shared_layer():
    nested = keras.Sequential(
        [keras.Input((6, 6, 4)), layers.Conv2D(4, 1, name="in")], name="box"
    )
    inputs = keras.Input((6, 6, 4))
    x = conv(inputs, 4, "a")
    both = layers.Conv2D(4, 1, name="both")
    y = layers.Add()([nested(x), both(x)])
    y = layers.Add()([both(y), x])
    ties = coupled(keras.Model(inputs, y), ["a", "box/in", "both"])
    assert same(ties["a"], ties["box/in"])
    assert same(ties["a"], ties["both"])


def test_coupled_strip_needs_no_gather_and_is_equal(residual, gap):
    generator = np.random.default_rng(0)
    keep = {
        key: generator.random(size) > 0.5
        for key, size in (("a1", 4), ("a2", 6), ("b2", 6), ("stem", 6))
    }
    keep["stem"][0] = keep["a2"][0] = keep["b2"][0] = False
    masked = rrelu_tf.mask(residual, keep)
    small = rrelu_tf.strip(masked, align="couple")
    free = rrelu_tf.strip(masked)
    assert gap(masked, small) < 1e-12
    assert gap(masked, free) < 1e-12
    assert not any(isinstance(x, ChannelGather) for x in small.layers)
    stream = keep["stem"] | keep["a2"] | keep["b2"]
    for key in ("stem", "a2", "an", "b2"):
        assert same(rrelu_tf.kept(small)[key], np.flatnonzero(stream))
    assert same(rrelu_tf.kept(small)["a1"], np.flatnonzero(keep["a1"]))
    assert free.count_params() < small.count_params() < residual.count_params()
    again = rrelu_tf.strip(small, align="couple")
    assert again.count_params() == small.count_params()


def test_masks_that_agree_lose_nothing_by_coupling(residual, gap):
    keep = {
        key: np.array([True, False, True, True, False, False])
        for key in ("stem", "a2", "b2")
    }
    masked = rrelu_tf.mask(residual, keep)
    small = rrelu_tf.strip(masked, align="couple")
    assert gap(masked, small) < 1e-12
    assert small.count_params() == rrelu_tf.strip(masked).count_params()
    assert small.get_layer("badd").output.shape[-1] == 3


def test_a_dead_branch_goes_whole_even_when_coupled(residual, gap):
    masked = rrelu_tf.mask(residual, {"a2": np.zeros(6, bool)})
    small = rrelu_tf.strip(masked, align="couple")
    assert gap(masked, small) < 1e-12
    assert not {"a1", "a2", "an", "aadd"} & {x.name for x in small.layers}


def test_another_align_is_an_error(residual):
    with pytest.raises(UserError, match="Received: align=tie$"):
        rrelu_tf.strip(residual, align="tie")


def test_constants_of_a_pre_activation_stream_need_no_gather(randomise, gap):
    x = inputs = keras.Input((6, 6, 3))
    x = conv(x, 8, "stem")
    for block in "ab":
        y = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.ReLU()(layers.BatchNormalization()(conv(y, 4, f"{block}1")))
        x = layers.Add()([conv(y, 8, f"{block}2"), x])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = randomise(keras.Model(inputs, layers.Dense(2)(x)))
    for seed in range(4):
        generator = np.random.default_rng(seed)
        keep = {k: generator.random(8) > 0.5 for k in ("stem", "a2", "b2")}
        for stays in keep.values():
            stays[0] = False
        masked = rrelu_tf.mask(model, keep)
        small = rrelu_tf.strip(masked, align="couple")
        assert gap(masked, small) < 1e-12
        assert not any(isinstance(x, ChannelGather) for x in small.layers)


def test_a_layer_across_the_channels_is_tied_to_none(finish):
    i = keras.Input((4, 3))
    x = layers.Permute((2, 1))(layers.Dense(3, name="a")(i))
    x = rrelu([1, 0, 2, 1], "across")(x)
    model = finish(i, layers.Dense(2)(x))
    found = coupled(model, ["a", "across"])
    numbers = [*found["a"], *found["across"]]
    assert len(set(numbers)) == 7
    assert "across" in rrelu_tf.explain(model)
