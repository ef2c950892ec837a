import math

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather, RReLU
from rrelu_tf.strip import Equivalence, NotEquivalent


def plant(model, layer, weight, place, change):
    """Changes one number of one weight."""
    variable = getattr(model.get_layer(layer), weight)
    values = variable.numpy()
    values.flat[place] = change(values.flat[place])
    variable.assign(values)


def test_equal_models_pass_and_the_evidence_is_returned(wide):
    model = wide()
    found = rrelu_tf.verify(model, rrelu_tf.strip(model), samples=5)
    assert isinstance(found, Equivalence)
    assert (found.dtype, found.samples, found.tolerance) == (
        "float64",
        5,
        1e-10,
    )
    assert 0 <= found.relative < 1e-12
    assert math.isfinite(found.difference)


def test_verify_changes_neither_model(wide):
    model = wide()
    small = rrelu_tf.strip(model)
    before = [model.get_weights(), small.get_weights()]
    rrelu_tf.verify(model, small)
    after = [model.get_weights(), small.get_weights()]
    for a, b in zip(sum(before, []), sum(after, []), strict=True):
        assert np.array_equal(a, b)
    assert {v.dtype for v in (*model.variables, *small.variables)} == {
        "float32"
    }


PLANTS = [
    ("conv1", "kernel", 0),
    ("block_bn1", "moving_mean", 1),
    ("block_bn2", "moving_variance", 0),
    ("block_rrelu2", "slope", 2),
    ("block_conv2", "kernel", slice(0, None, 5)),
    ("fc", "bias", 1),
]


@pytest.mark.parametrize(
    ("layer", "weight", "place", "swapped"),
    [(*plant, number % 2 > 0) for number, plant in enumerate(PLANTS)],
)
def test_a_planted_wrong_weight_is_found_and_its_layer_named(
    layer, weight, place, swapped, wide
):
    model = wide()
    small = rrelu_tf.strip(model)
    # Large enough to be seen through any ReLU behind it.
    plant(small, layer, weight, place, lambda x: x + 10)
    pair = (small, model) if swapped else (model, small)
    with pytest.raises(NotEquivalent) as caught:
        rrelu_tf.verify(*pair)
    assert caught.value.layer == layer
    message = str(caught.value)
    assert f"the first layer that differs is {layer}." in message
    assert "\n" not in message
    assert message.endswith(f"Received: a={model.name}, b={small.name}")


def test_models_stripped_to_different_widths_are_compared(wide):
    model = wide()
    first = rrelu_tf.strip(model)
    stays = np.ones(first.get_layer("block_rrelu2").slope.shape, bool)
    stays[::2] = False
    second = rrelu_tf.strip(rrelu_tf.mask(first, {"block_rrelu2": stays}))
    for pair in ((first, second), (second, first)):
        with pytest.raises(NotEquivalent) as caught:
            rrelu_tf.verify(*pair)
        # What both hold is equal up to the conv that reads fewer channels.
        assert caught.value.layer == "block_conv2"


def test_one_wrong_index_of_a_gather_is_found(randomise):
    i = keras.Input((6, 6, 3))
    stream = layers.Conv2D(6, 3, name="stem")(i)
    x = RReLU(name="left")(stream)
    y = RReLU(name="right")(stream)
    outputs = [layers.Conv2D(2, 1, name=n)(t) for n, t in (("l", x), ("r", y))]
    model = randomise(keras.Model(i, outputs))
    model.get_layer("left").slope.assign([1, 1, 0, 0, 0, 0])
    model.get_layer("right").slope.assign([0, 1, 1, 1, 0, 0])
    small = rrelu_tf.strip(model)
    rrelu_tf.verify(model, small)

    def wrong(layer):
        config = layer.get_config()
        if layer.name == "right_gather":
            assert config["indices"] == [1, 2, 3]
            config["indices"] = [1, 2, 2]
        return type(layer).from_config(config)

    kept = small.kept
    broken = keras.models.clone_model(small, clone_function=wrong)
    broken.set_weights(small.get_weights())
    broken.kept = kept
    assert isinstance(broken.get_layer("right_gather"), ChannelGather)
    with pytest.raises(NotEquivalent) as caught:
        rrelu_tf.verify(model, broken)
    assert caught.value.layer == "right"


def test_a_smaller_difference_than_the_tolerance_passes(wide):
    model, other = wide(), wide()
    plant(other, "fc", "bias", 0, lambda x: x + 1e-4)
    with pytest.raises(NotEquivalent):
        rrelu_tf.verify(model, other)
    found = rrelu_tf.verify(model, other, tolerance=1e-2)
    assert 0 < found.relative < 1e-2
    assert found.difference == pytest.approx(1e-4, rel=0.01)
    assert found.tolerance == 1e-2


def test_the_tolerance_is_relative_to_the_largest_output():
    def scale(by):
        i = keras.Input((2,))
        x = layers.Dense(1, kernel_initializer=keras.initializers.Constant(by))
        return keras.Model(i, x(i))

    found = rrelu_tf.verify(scale(1e6), scale(1e6 + 1), tolerance=1e-5)
    assert found.relative == pytest.approx(1e-6, rel=0.1)
    assert found.difference > 0.1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_never_equal(wide, bad):
    model, other = wide(), wide()
    plant(other, "block_bn1", "beta", 3, lambda _: bad)
    with pytest.raises(NotEquivalent) as caught:
        rrelu_tf.verify(model, other)
    assert caught.value.layer == "block_bn1"


def test_models_of_only_zeros_are_equal():
    i = keras.Input((2,))
    model = keras.Model(i, layers.Dense(2, kernel_initializer="zeros")(i))
    assert rrelu_tf.verify(model, model).relative == 0


def dense(width, units):
    i = keras.Input((width,))
    return keras.Model(i, layers.Dense(units)(i))


@pytest.mark.parametrize("other", [(3, 4), (2, 5)])
def test_other_shapes_are_refused(other):
    with pytest.raises(UserError) as caught:
        rrelu_tf.verify(dense(2, 4), dense(*other))
    assert "\n" not in str(caught.value)
    assert "Received: a=[(None, " in str(caught.value)


@pytest.mark.parametrize("samples", [0, -3, 1.5, "a"])
def test_no_samples_are_no_proof(samples):
    with pytest.raises(UserError, match=f"Received: samples={samples}$"):
        rrelu_tf.verify(dense(2, 2), dense(2, 2), samples=samples)


@pytest.mark.parametrize("tolerance", ["a", -1, float("nan")])
def test_what_is_no_tolerance_is_refused(tolerance):
    with pytest.raises(UserError, match=f"Received: tolerance={tolerance}$"):
        rrelu_tf.verify(dense(2, 2), dense(2, 2), tolerance=tolerance)


@pytest.mark.parametrize(
    "call",
    [
        rrelu_tf.strip,
        rrelu_tf.fold,
        rrelu_tf.explain,
        rrelu_tf.profile,
        lambda given: rrelu_tf.verify(dense(2, 2), given),
        lambda given: rrelu_tf.mask(given, {}),
        lambda given: rrelu_tf.select(
            {"a": np.ones(2)}, flops=0.5, model=given
        ),
    ],
)
@pytest.mark.parametrize("given", [0, "a"])
def test_what_is_no_model_is_refused_in_one_line(call, given):
    with pytest.raises(UserError) as caught:
        call(given)
    assert str(caught.value).endswith(f"model={type(given).__name__}")
    assert "\n" not in str(caught.value)


def test_nested_models_run_in_float64_too(randomise):
    nested = keras.Sequential(
        [layers.Dense(5, activation="tanh"), layers.Dense(4)]
    )
    i = keras.Input((4,))
    x = RReLU(name="act")(layers.Dense(4)(i))
    model = randomise(keras.Model(i, layers.Dense(2)(nested(nested(x)))))
    model.get_layer("act").slope.assign([1, 0, 1, 0])
    found = rrelu_tf.verify(model, rrelu_tf.strip(model))
    assert found.dtype == "float64"
    assert found.relative < 1e-13


def test_pixels_and_indices_are_drawn_as_what_they_are(randomise):
    i = keras.Input((5,), dtype="int32", name="tokens")
    pixels = keras.Input((5, 3), dtype="uint8", name="pixels")
    table = layers.Embedding(2, 3)(i)
    x = layers.Add()([table, layers.Rescaling(1 / 255)(pixels)])
    model = randomise(keras.Model([i, pixels], layers.Dense(2, name="d")(x)))
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    assert rrelu_tf.verify(model, other).dtype == "float64"
    plant(other, "d", "kernel", 0, lambda x: x + 0.1)
    with pytest.raises(NotEquivalent):
        rrelu_tf.verify(model, other)


def test_unknown_sizes_are_filled_in(randomise):
    i = keras.Input((None, None, 3))
    x = RReLU(name="act")(layers.Conv2D(4, 3, strides=2)(i))
    model = randomise(keras.Model(i, layers.GlobalAveragePooling2D()(x)))
    model.get_layer("act").slope.assign([1, 0, 1, 0])
    rrelu_tf.verify(model, rrelu_tf.strip(model))


def test_dictionaries_of_inputs_and_outputs(randomise):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x = layers.Add()([RReLU(name="act")(a), layers.Dense(4)(b)])
    model = randomise(keras.Model({"b": b, "a": a}, {"y": x, "x": a}))
    rrelu_tf.verify(model, rrelu_tf.strip(model))


def test_subclassed_models_are_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UserError, match="Received: model=Subclassed$"):
        rrelu_tf.verify(dense(2, 2), Subclassed())


def test_nan_in_the_same_places_is_equal_and_elsewhere_is_not():
    inputs = keras.Input((3,))
    doubled = keras.Model(inputs, keras.ops.log(inputs))  # NaN below 0
    assert rrelu_tf.verify(doubled, doubled).relative == 0
    finite = keras.Model(inputs, keras.ops.log(keras.ops.abs(inputs)))
    with pytest.raises(NotEquivalent):
        rrelu_tf.verify(doubled, finite)


def test_a_small_output_beside_a_large_one_is_compared_by_itself():
    i = keras.Input((4,))
    large, small = layers.Dense(3, name="large"), layers.Dense(3, name="small")
    model = keras.Model(i, [large(i), small(i)])
    large.kernel.assign(1e6 * large.kernel)
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    plant(other, "small", "kernel", 0, lambda x: x + 1)
    with pytest.raises(NotEquivalent):
        rrelu_tf.verify(model, other, tolerance=1e-5)


def test_outputs_that_are_never_finite_are_no_proof():
    i = keras.Input((4,))
    model = keras.Model(i, keras.ops.log(-keras.ops.square(layers.Dense(3)(i))))
    with pytest.raises(UserError, match="verify compares finite outputs"):
        rrelu_tf.verify(model, model)


def test_outputs_of_other_names_are_refused():
    i = keras.Input((4,))
    x = layers.Dense(3)(i)
    a, b = keras.Model(i, {"p": x}), keras.Model(i, {"q": x})
    with pytest.raises(UserError, match="the same names"):
        rrelu_tf.verify(a, b)


def test_a_fixed_batch_is_drawn_as_it_is():
    i = keras.Input(batch_shape=(3, 4, 4, 2))
    model = keras.Model(i, keras.ops.reshape(layers.Dense(2)(i), (3, 16, 2)))
    assert rrelu_tf.verify(model, rrelu_tf.strip(model)).relative < 1e-12


def test_a_model_with_a_call_of_its_own_has_no_graph():
    class Doubled(keras.Model):
        def call(self, x, training=None, mask=None):
            return 2 * super().call(x)

    i = keras.Input((4,))
    model = Doubled(i, layers.Dense(3)(i))
    with pytest.raises(UserError, match="Received: model=Doubled"):
        rrelu_tf.strip(model)
