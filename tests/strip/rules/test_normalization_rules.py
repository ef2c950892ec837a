"""Dead channels through normalisations, or held back by them."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import IMAGE, around, conv, rrelu

from rrelu_tf.layers import BatchNormalization

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", [BatchNormalization, None])
def test_batch_norm_of_a_dead_channel_is_a_constant_that_goes(
    kind, scale, center, finish, check
):
    norm = (kind or layers.BatchNormalization)(
        scale=scale, center=center, name="x"
    )
    check(finish(*around(norm)), {"a": 2, "act": 2, "x": 2})


def test_batch_norm_of_another_axis_keeps_its_rows(finish, check):
    norm = layers.BatchNormalization(axis=1, name="x")
    small = check(finish(*around(norm)), {"a": 2, "act": 2})
    assert small.get_layer("x").gamma.shape == (6,)


def test_batch_norm_over_channels_first(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(conv(i, 4, "a"))
    x = layers.BatchNormalization(axis=1, name="x")(
        layers.Permute((3, 1, 2))(x)
    )
    x = layers.Dense(2)(layers.Permute((2, 3, 1))(x))
    small = check(finish(i, x), {"a": 2, "act": 2})
    assert small.get_layer("x").gamma.shape == (2,)


@pytest.mark.parametrize(
    "kind", [layers.LayerNormalization, layers.RMSNormalization]
)
def test_statistics_over_channels_are_a_barrier(kind, finish, check):
    i = keras.Input(IMAGE)
    x = kind(name="x")(rrelu([1, 0, 2, 0], "p")(conv(i, 4, "a")))
    x = rrelu([1, 1, 0, 0], "q")(x)
    model = finish(i, conv(x, 2, "b"))
    check(model, {"a": 2, "p": 2, "x": 4, "q": 2})


@pytest.mark.parametrize(
    "kind", [layers.LayerNormalization, layers.RMSNormalization]
)
def test_a_scale_of_zero_frees_what_reads_it(kind, finish, check):
    i = keras.Input(IMAGE)
    x = conv(kind(name="x")(conv(i, 4, "a")), 2, "b")
    model = finish(i, x)
    norm = model.get_layer("x")
    scale = getattr(norm, "gamma", norm.trainable_weights[0])
    scale.assign(scale.numpy() * [1, 0, 0, 1])
    small = check(model, {"a": 4, "x": 4})
    assert small.get_layer("b").kernel.shape[2] <= 4


@pytest.mark.parametrize("scale", [True, False])
def test_group_norm_loses_whole_groups(scale, finish, check):
    i = keras.Input(IMAGE)
    x = conv(i, 6, "a")
    x = layers.GroupNormalization(3, scale=scale, name="x")(x)
    x = rrelu([1, 0, 0, 0, 0, 1])(x)
    small = check(finish(i, conv(x, 2, "b")), {"a": 4, "x": 4, "act": 2})
    assert small.get_layer("x").groups == 2


def test_a_group_of_dead_channels_is_its_offset(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 0, 1, 0])(conv(i, 4, "a"))
    x = layers.GroupNormalization(2, name="x")(x)
    check(finish(i, conv(x, 2, "b")), {"a": 1, "act": 1, "x": 2})


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (1, 3)])
def test_zeros_add_nothing_to_a_length(axis, finish, check):
    norm = layers.UnitNormalization(axis, name="x")
    check(finish(*around(norm)), {"a": 2, "act": 2, "x": 2})


def test_a_length_needs_all_channels_that_are_not_zero(finish, check):
    i = keras.Input(IMAGE)
    x = layers.UnitNormalization(name="x")(conv(i, 4, "a"))
    x = rrelu([1, 0, 0, 1])(x)
    check(finish(i, conv(x, 2, "b")), {"a": 4, "x": 4, "act": 2})


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("axis", [-1, 1, (2, 3), None])
def test_normalization_by_given_or_adapted_statistics(
    axis, given, invert, finish, check
):
    generator = np.random.default_rng(0)
    if given:
        axes = [] if axis is None else np.atleast_1d(axis)
        shape = [(6, 5, 4)[at if at < 0 else at - 1] for at in axes]
        statistics = {
            "mean": generator.normal(size=shape).tolist(),
            "variance": generator.uniform(1, 2, shape).tolist(),
        }
        norm = layers.Normalization(axis, **statistics, invert=invert, name="x")
    else:
        norm = layers.Normalization(axis, invert=invert, name="x")
        norm.adapt(generator.normal(1, 2, (8, 6, 5, 4)))
    # A constant that varies along two axes is computed, not filled in.
    width = 2 if axis in (-1, None) else 4
    check(finish(*around(norm)), {"a": 2, "act": 2, "x": width})


@pytest.mark.parametrize(
    ("scale", "offset"),
    [
        (2.0, 0.0),
        (0.5, 1.0),
        ([1.0, 2.0, 3.0, 4.0], 0.0),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 2.0]),
        (3.0, [1.0, 0.0, 0.0, 2.0]),
    ],
)
def test_rescaling_by_numbers_and_lists(scale, offset, finish, check):
    layer = layers.Rescaling(scale, offset, name="x")
    check(finish(*around(layer)), {"a": 2, "act": 2, "x": 2})


def test_a_scale_of_zero_in_rescaling_is_a_dead_channel(finish, check):
    layer = layers.Rescaling(
        [1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], name="x"
    )
    check(finish(*around(layer, slopes=(1, 1, 1, 1))), {"a": 2, "x": 2})


@pytest.mark.parametrize(
    ("layer", "width"),
    [
        (lambda: layers.Dense(5, name="inner"), 3),
        (lambda: layers.Conv2D(5, 2, name="inner"), 3),
        (lambda: layers.Conv2D(5, 1, use_bias=False, name="inner"), 3),
    ],
)
def test_spectral_normalization_narrows_what_it_wraps(
    layer, width, finish, check
):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0], "p")(conv(i, 4, "a"))
    x = layers.SpectralNormalization(layer(), name="x")(x)
    x = rrelu([0, 1, 0, 1, 1], "q")(x)
    model = finish(i, conv(x, 2, "b"))
    small = check(model, {"a": 2, "p": 2, "x": width, "q": width})
    assert small.get_layer("x").layer.kernel.shape[-2:] == (2, 3)
