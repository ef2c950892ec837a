"""Layers that follow one another, channel for channel, have one mask."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.pruning.chains import chained


def separable(expand=32, point=16):
    """A conv, a depthwise one that reads it, and one that reads that."""
    i = keras.Input((6, 6, 3))
    x = layers.Conv2D(expand, 1, name="e")(i)
    x = layers.ReLU()(layers.BatchNormalization(name="n")(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="dw")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(point, 1, activation="relu", name="p")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(i, layers.Dense(2, name="head")(x))


def drawn(model, keys):
    generator = np.random.default_rng(0)
    return {
        key: generator.random(model.get_layer(key).output.shape[-1])
        for key in keys
    }


@pytest.mark.parametrize(
    "options",
    [{"params": 0.5}, {"sparsity": 0.4}, {"flops": 0.6}],
)
def test_rounded_widths_hold_for_what_strip_returns(options):
    model = separable()
    scores = drawn(model, ("e", "dw", "p"))
    keep = rrelu_tf.select(scores, model=model, round_to=8, **options)
    assert np.array_equal(keep["e"], keep["dw"])
    assert not keep["e"].all()
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    for key in ("e", "dw", "p"):
        width = small.get_layer(key).output.shape[-1]
        assert width == keep[key].sum()
        assert width % 8 == 0


@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_their_scores_are_reduced(reduce):
    model = separable(4)
    scores = {"dw": np.array([1.0, 9, 2, 6]), "e": np.array([8.0, 0, 2, 7])}
    options = {"sparsity": 0.5, "reduce": reduce, "round_to": 2}
    keep = rrelu_tf.select(scores, model=model, **options)
    stacked = np.stack(list(scores.values()))
    worst = np.argsort(getattr(np, reduce)(stacked, axis=0), kind="stable")[:2]
    assert np.flatnonzero(~keep["e"]).tolist() == sorted(worst)
    assert np.array_equal(keep["e"], keep["dw"])


@pytest.mark.parametrize(
    "options", [{"sparsity": 0.5}, {"threshold": 2.0, "round_to": 2}]
)
def test_without_rounding_or_by_a_threshold_each_has_its_own(options):
    model = separable(4)
    scores = {"dw": np.array([1.0, 9, 2, 6]), "e": np.array([8.0, 0, 2, 7])}
    alone = rrelu_tf.select(scores, **options)
    keep = rrelu_tf.select(scores, model=model, **options)
    for key in scores:
        assert np.array_equal(keep[key], alone[key])


def test_a_norm_and_slopes_are_followers_too_and_others_between_do_not_mind():
    model = rrelu_tf.rotate(separable(8))
    names = [x.name for x in model.layers]
    slopes = [x for x in names if "re_lu" in x]
    keys = ["e", "n", "dw", "p", *slopes]
    labels = chained(model, keys)
    assert list(labels) == sorted(keys, key=names.index)
    for key in ("n", "dw", *slopes):
        assert np.array_equal(labels[key], labels["e"])
    assert not set(labels["p"]) & set(labels["e"])
    labels = chained(model, ["e", "dw"])
    assert np.array_equal(labels["e"], labels["dw"])


def test_without_a_model_each_layer_goes_for_itself():
    scores = drawn(separable(), ("e", "dw"))
    keep = rrelu_tf.select(scores, sparsity=0.5)
    assert not np.array_equal(keep["e"], keep["dw"])


def twice_read(x):
    return layers.Add()(
        [layers.DepthwiseConv2D(3, name="dw")(x), x[:, 1:-1, 1:-1]]
    )


@pytest.mark.parametrize(
    "behind",
    [
        twice_read,
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="dw"),
        lambda x: layers.DepthwiseConv2D(3, name="dw")(
            layers.GroupNormalization(2)(x)
        ),
        lambda x: layers.DepthwiseConv2D(3, name="dw")(
            layers.LayerNormalization()(x)
        ),
        lambda x: layers.Conv2D(4, 3, name="dw")(x),
    ],
)
def test_what_is_not_one_to_one_goes_for_itself(behind):
    i = keras.Input((6, 6, 3))
    x = behind(layers.Conv2D(4, 1, name="e")(i))
    model = keras.Model(i, layers.Conv2D(2, 1)(x))
    labels = chained(model, ["e", "dw"])
    assert not set(labels["e"]) & set(labels["dw"])


def test_chains_inside_nested_models_are_found():
    inner = separable(4)
    i = keras.Input((6, 6, 3))
    outer = keras.Model(i, layers.Dense(2)(inner(i)))
    name = inner.name
    labels = chained(outer, [f"{name}/e", f"{name}/dw", f"{name}/p"])
    assert np.array_equal(labels[f"{name}/e"], labels[f"{name}/dw"])
    assert not set(labels[f"{name}/p"]) & set(labels[f"{name}/e"])
