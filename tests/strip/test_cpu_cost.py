"""Costs on paper, and the alignment that they choose."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip import cpu_cost
from rrelu_tf.strip.elimination import aligned


def residual(width, inner):
    """Two branches that meet a stem of `width` channels in Adds."""
    x = inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(width, 1, name="stem")(x)
    for block in "ab":
        y = layers.Conv2D(inner, 3, padding="same", name=f"{block}1")(x)
        y = layers.Conv2D(width, 1, name=f"{block}2")(layers.ReLU()(y))
        x = layers.ReLU()(layers.Add()([y, x]))
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs)


def half(model):
    """A random half of each layer's channels, each layer's for itself."""
    generator = np.random.default_rng(0)
    scores = rrelu_tf.score(model, "l1")
    return {key: generator.random(len(s)) > 0.5 for key, s in scores.items()}


def gathers(model):
    return sum(isinstance(layer, ChannelGather) for layer in model.layers)


def inner_alone(model):
    """The same without what meets in an Add."""
    keep = half(model)
    for key in ("stem", "a2", "b2"):
        keep[key] = np.ones(len(keep[key]), bool)
    return keep


CASES = pytest.mark.parametrize(
    ("width", "inner", "keep", "expected"),
    [
        # A product of 32 x 16 for a gather, a 3 x 3 kernel of 16 x 128 saved.
        (32, 128, half, "gather"),
        # Hundreds of channels are picked one by one.
        (600, 8, half, "couple"),
        # Nothing to align: equal models, and so "gather".
        (16, 8, inner_alone, "gather"),
    ],
)


@CASES
def test_auto_is_the_cheaper_of_both(width, inner, keep, expected):
    model = residual(width, inner)
    masked = rrelu_tf.mask(model, keep(model))
    costs = {
        align: cpu_cost.nanoseconds(rrelu_tf.strip(masked, align=align))
        for align in ("gather", "couple", "auto")
    }
    assert costs["auto"] == min(costs.values())
    small, taken = aligned(masked, "auto")
    assert taken == expected
    assert cpu_cost.nanoseconds(small) == costs["auto"]
    assert gathers(small) == gathers(rrelu_tf.strip(masked, align=expected))
    rrelu_tf.verify(masked, small, samples=2)
    assert rrelu_tf.explain(masked, align="auto").endswith(
        f'align="auto" takes "{expected}".\n'
    )


@pytest.mark.parametrize(
    "amount", [{"sparsity": 0.5}, {"flops": 0.6}, {"threshold": 1.0}]
)
@pytest.mark.parametrize(("width", "inner"), [(16, 64), (600, 8)])
def test_a_selection_is_never_dearer_than_the_better_of_both(
    width, inner, amount
):
    model = residual(width, inner)
    generator = np.random.default_rng(1)
    scores = {
        key: generator.uniform(0.5, 2, len(values))
        for key, values in rrelu_tf.score(model, "l1").items()
    }
    options = {"model": model, "reduce": "mean", **amount}
    costs = {}
    for align in ("gather", "couple", "auto"):
        keep = rrelu_tf.select(scores, align=align, **options)
        small = rrelu_tf.strip(rrelu_tf.mask(model, keep), align=align)
        costs[align] = cpu_cost.nanoseconds(small)
        if "flops" in amount:
            left = rrelu_tf.profile(small).flops
            assert left <= 0.6 * rrelu_tf.profile(model).flops
    assert costs["auto"] <= min(costs.values())


def test_what_can_not_be_coupled_is_selected_with_gathers():
    """All that could go is tied to the input."""
    inputs = keras.Input((8, 8, 4))
    x = layers.Add()(
        [layers.Conv2D(4, 3, padding="same", name="a")(inputs), inputs]
    )
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    scores = {"a": np.arange(4.0)}
    keep = rrelu_tf.select(scores, sparsity=0.5, model=model, align="auto")
    assert keep["a"].tolist() == [False, False, True, True]


def test_products_are_those_of_the_profile():
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(16, 3, strides=2, name="conv")(inputs)
    x = layers.Conv2D(16, 3, groups=2, padding="same", name="grouped")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)
    x = layers.Conv2DTranspose(48, 3, strides=2)(x)
    x = layers.EinsumDense("abcd,de->abce", (7, 7, 16))(x)
    x = layers.Dense(32)(layers.Flatten()(x))
    inner = keras.Model(inputs, x)
    outer = keras.Input((8, 8, 4))
    nested = keras.Model(outer, inner(outer))
    moved = 0
    for layer in inner.layers[1:]:
        moved += np.prod(layer.input.shape[1:])
        moved += np.prod(layer.output.shape[1:])
    macs = rrelu_tf.profile(inner).macs
    expected = 0.02 * macs + 0.25 * moved
    for model in (inner, nested):
        assert cpu_cost.nanoseconds(model) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [layers.Conv2D, layers.Conv2DTranspose])
def test_channels_that_fill_no_vector_cost_a_whole_one(kind):
    def products(width):
        inputs = keras.Input((8, 8, 4))
        layer = kind(width, 3)
        moved = 0.25 * (8 * 8 * 4 + np.prod(layer(inputs).shape[1:]))
        model = keras.Model(inputs, layer(inputs))
        return cpu_cost.nanoseconds(model) - moved

    assert products(3) == pytest.approx(products(16))
    assert products(17) == pytest.approx(2 * products(16))


@pytest.mark.parametrize(
    ("width", "indices", "axis", "way"),
    [
        (600, [3, 4, 5], -1, "slice"),
        (600, [-1, 3, 4, -1], -1, "slice"),
        (600, [-1, -1], -1, "slice"),
        (256, [*range(3, 35, 2)], -1, "product"),
        (257, [3, 5], -1, "take"),
        (600, [3, -1, 4], -1, "take"),
        (256, [3, 5], 1, "take"),
    ],
)
def test_a_gather_costs_by_the_way_that_it_goes(width, indices, axis, way):
    shape = (width, 4) if axis == 1 else (4, width)
    inputs = keras.Input(shape)
    layer = ChannelGather(indices, axis=axis)
    model = keras.Model(inputs, layer(inputs))
    assert layer.way(inputs.shape) == way
    count = 4 * len(indices)
    extra = {"slice": 0, "product": 0.02 * width, "take": 4.7}[way] * count
    expected = 1250 + 0.25 * (4 * width + count) + extra
    assert cpu_cost.nanoseconds(model) == pytest.approx(expected)
