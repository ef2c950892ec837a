"""fold: the same function in fewer, stock layers."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.layers import (
    RGELU,
    BatchNormalization,
    ChannelGather,
    RReLU,
    RSiLU,
)


@pytest.fixture
def randomise():
    """Weights and statistics none of which is special, some slopes 0."""

    def randomise(model, dead=0.4):
        generator = np.random.default_rng(0)
        for variable in model.variables:
            if not variable.dtype.startswith("float"):
                continue
            values = generator.uniform(0.4, 1.1, variable.shape)
            if "variance" not in variable.path:
                values *= generator.choice((-1.0, 1.0), variable.shape)
            if variable.name == "kernel":
                values /= np.sqrt(np.prod(variable.shape[:-1]))
            if variable.name == "slope":
                values *= generator.random(variable.shape) >= dead
            variable.assign(values)
        return model

    return randomise


def apart(a, b):
    """Largest difference of two models' outputs over the largest output."""
    sizes = [size or 8 for size in a.inputs[0].shape[1:]]
    images = np.random.default_rng(1).normal(size=(3, *sizes))
    x, y = (np.asarray(model(images, training=False)) for model in (a, b))
    return np.abs(x - y).max() / np.abs(x).max()


def kinds(model):
    return {type(layer).__name__ for layer in model.layers}


OWN = {"RReLU", "RGELU", "RSiLU", "ChannelGather"}


@pytest.mark.parametrize(
    ("arch", "activation", "dtype"),
    [
        ("resnet20", "relu", "float64"),
        ("resnet20", "rrelu", "float64"),
        ("wrn_10_1", "relu", "float64"),
        ("wrn_10_1", "rrelu", "float64"),
        ("wrn_10_1", "rrelu", "float32"),
        ("fcnn", "relu", "float64"),
        ("fcnn", "rrelu", "float64"),
        ("fcnn", "rrelu", "float32"),
    ],
)
def test_folded_equals_stripped_and_is_stock(
    arch, activation, dtype, randomise
):
    keras.config.set_dtype_policy(dtype)
    model = rrelu_tf.models.create(
        arch, num_classes=5, input_shape=(16, 16, 3), activation=activation
    )
    model = randomise(model)
    before = model.get_weights()
    small = rrelu_tf.strip(model)
    folded = rrelu_tf.fold(small)
    assert apart(model, folded) < {"float64": 1e-12, "float32": 1e-5}[dtype]
    for layer in folded.layers:
        assert type(layer).__module__.startswith("keras."), layer
    gathers = [x.name for x in small.layers if type(x) is ChannelGather]
    picks = sum(x.count_params() for x in folded.layers if x.name in gathers)
    assert folded.count_params() - picks <= small.count_params()
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("kind", [RReLU, RGELU, RSiLU])
def test_slopes_go_into_the_kernels_that_read_them(kind, randomise):
    keras.config.set_dtype_policy("float64")
    x = inputs = keras.Input((8, 8, 3))
    x = kind(name="act")(layers.Conv2D(4, 3, name="a")(x))
    y = layers.Conv2D(2, 3, padding="same", name="b")(x)
    z = layers.Dense(2, name="c")(layers.AveragePooling2D(1)(x))
    model = randomise(keras.Model(inputs, layers.Add()([y, z])), dead=0)
    folded = rrelu_tf.fold(model)
    assert apart(model, folded) < 1e-12
    assert not kinds(folded) & {*OWN, "Rescaling"}
    assert folded.count_params() == model.count_params() - 4


def test_slopes_behind_an_add_become_a_rescaling(randomise):
    keras.config.set_dtype_policy("float64")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(x)
    y = RReLU(name="act")(layers.Conv2D(4, 3, padding="same")(x))
    outputs = layers.Dense(2)(layers.Add()([x, y]))
    model = randomise(keras.Model(inputs, outputs), dead=0)
    folded = rrelu_tf.fold(model)
    assert apart(model, folded) < 1e-12
    np.testing.assert_array_equal(
        folded.get_layer("act_slope").scale, model.get_layer("act").slope
    )


def test_norms_go_into_the_convolution_before_them(randomise):
    keras.config.set_dtype_policy("float64")
    x = inputs = keras.Input((8, 8, 4))
    for number, conv in enumerate(
        (
            layers.Conv2D(6, 3, groups=2, use_bias=False),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.Conv2DTranspose(5, 3, strides=2),
            layers.Dense(4),
        )
    ):
        kind = (BatchNormalization, layers.BatchNormalization)[number % 2]
        x = layers.ReLU()(kind()(conv(x)))
    model = randomise(keras.Model(inputs, x))
    folded = rrelu_tf.fold(model)
    assert apart(model, folded) < 1e-12
    assert "BatchNormalization" not in kinds(folded)


def test_a_norm_stays_where_something_else_reads_the_convolution(randomise):
    keras.config.set_dtype_policy("float64")
    x = inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 1)(x)
    y = BatchNormalization(name="bn")(x)
    model = randomise(keras.Model(inputs, layers.Add()([x, y])))
    folded = rrelu_tf.fold(model)
    assert apart(model, folded) < 1e-12
    assert type(folded.get_layer("bn")) is layers.BatchNormalization


def test_known_numbers_go_into_the_bias(randomise):
    keras.config.set_dtype_policy("float64")
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False, name="a")(x)
    x = layers.Activation("sigmoid")(x)
    x = layers.Conv2D(2, 1, use_bias=False, name="b")(x)
    model = randomise(keras.Model(inputs, x))
    masked = rrelu_tf.mask(model, {"a": np.array([True, False, True, False])})
    folded = rrelu_tf.fold(masked)
    assert apart(masked, folded) < 1e-12
    assert folded.get_layer("b").kernel.shape == (1, 1, 2, 2)
    assert folded.get_layer("b").use_bias


@pytest.mark.parametrize(
    ("indices", "axis", "fill"),
    [
        ([2, 0], -1, 0.0),
        ([2, -1, 0], -1, 0.0),
        ([-1, 1, -1], -1, [0.5, 0.0, 2.0]),
        ([3, -1, 0, 0], 1, 1.5),
        ([-1, 1, 2, 3, -1, -1], -1, 0.0),
        ([1, 2], -1, 0.0),
        ([-1, 0, 1, 2, 3], 1, 0.0),
        ([0, 1, -1], -1, 0.5),
        ([-1, -1], -1, [0.5, 0.0]),
        ([-1, -1], 2, 0.0),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gathers_become_stock_operations(indices, axis, fill, dtype, randomise):
    keras.config.set_dtype_policy(dtype)
    inputs = keras.Input((5, 5, 4))
    x = layers.LayerNormalization()(inputs)  # nothing is dead behind it
    x = ChannelGather(indices, axis=axis, fill=fill, name="gather")(x)
    model = randomise(keras.Model(inputs, layers.LayerNormalization()(x)))
    folded = rrelu_tf.fold(model)
    assert apart(model, folded) < {"float64": 1e-12, "float32": 1e-5}[dtype]
    assert not kinds(folded) & OWN


@pytest.mark.parametrize("shape", [(5, 4), (5, 5, 4), (5, 5, 5, 4), (4,)])
@pytest.mark.parametrize("width", [256, 257])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gathers_of_few_channels_become_kernels(shape, width, dtype):
    keras.config.set_dtype_policy(dtype)
    inputs = keras.Input((*shape[:-1], width))
    indices, fill = [2, -1, 0, 2, width - 1, -1], [0, 0.5, 0, 0, 0, 2.0]
    gather = ChannelGather(indices, fill=fill, name="gather")
    model = keras.Model(inputs, gather(inputs))
    folded = rrelu_tf.fold(model)
    x = np.random.default_rng(0).normal(size=(3, *shape[:-1], width))
    x = x.astype(dtype)
    assert np.array_equal(model(x), folded(x))
    kernel = width <= 256
    assert any(kinds(folded) & {"Conv2D", "Dense"}) == kernel
    assert not rrelu_tf.profile(folded).trainable_params


@pytest.mark.parametrize("indices", [[-1, 2, 3, -1], [3, -1, 0]])
@pytest.mark.parametrize("axis", [-1, 1])
def test_gathers_keep_their_precision(indices, axis):
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((5, 5, 4))  # float32
    gather = ChannelGather(indices, axis=axis, fill=0.3, name="gather")
    model = keras.Model(inputs, gather(inputs))
    folded = rrelu_tf.fold(model)
    x = np.random.default_rng(0).normal(size=(3, 5, 5, 4)).astype("float32")
    assert folded(x).dtype == model(x).dtype == "bfloat16"
    assert np.array_equal(folded(x), model(x))


def test_gathers_of_neighbours_become_slices_and_zeros():
    inputs = keras.Input((5, 5, 8))
    gather = ChannelGather([-1, -1, 2, 3, 4, -1], name="gather")
    folded = rrelu_tf.fold(keras.Model(inputs, gather(inputs)))
    assert kinds(folded) == {"InputLayer", "Activation"}
    assert folded.output_names == ["gather"]
    assert not folded.count_params()
    x = np.random.default_rng(0).normal(size=(3, 5, 5, 8)).astype("float32")
    assert np.array_equal(gather(x), folded(x))


def test_what_was_coupled_needs_no_gather_when_it_is_folded(randomise):
    """Members of an Add that keep others, one of them computes zeros."""
    keras.config.set_dtype_policy("float64")
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(600, 1, name="a")(inputs)
    y = layers.Conv2D(600, 1, name="b")(layers.ReLU()(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    model = randomise(keras.Model(inputs, layers.Dense(2)(x)))
    there = np.arange(600)
    keep = {"a": there % 3 > 0, "b": there % 4 > 0}
    masked = rrelu_tf.mask(model, keep)
    coupled = rrelu_tf.strip(masked, align="couple")
    folded = rrelu_tf.fold(coupled)
    assert apart(masked, folded) < 1e-12
    assert not any("gather" in layer.name for layer in folded.layers)
    assert folded.get_layer("a").filters == coupled.get_layer("a").filters


def test_nested_models_are_folded_inside(randomise):
    keras.config.set_dtype_policy("float64")
    nested = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(4, 3, name="c"),
            BatchNormalization(name="n"),
            RReLU(name="r"),
        ],
        name="nested",
    )
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, layers.Dense(3)(nested(inputs)))
    model = randomise(model)
    folded = rrelu_tf.fold(model)
    assert apart(model, folded) < 1e-12
    inner = folded.get_layer("nested")
    assert not kinds(inner) & {*OWN, "BatchNormalization"}


@pytest.fixture(params=["resnet20", "vit_tiny", "over time"])
def own_layers(request):
    """A model with layers of this package, of each kind."""
    if request.param == "over time":
        i = keras.Input((8, 8, 3))
        x = layers.TimeDistributed(layers.Conv1D(4, 3))(i)
        x = layers.TimeDistributed(RReLU(), name="rotated")(x)
        return keras.Model(i, layers.Dense(3)(layers.Flatten()(x)))
    activation = "rgelu" if request.param == "vit_tiny" else "rrelu"
    options = {"depth": 2} if request.param == "vit_tiny" else {}
    return rrelu_tf.models.create(
        request.param,
        num_classes=3,
        input_shape=(8, 8, 3),
        activation=activation,
        **options,
    )


def test_a_folded_model_opens_without_the_package(
    own_layers, randomise, tmp_path
):
    folded = rrelu_tf.fold(rrelu_tf.strip(randomise(own_layers)))
    folded.save(tmp_path / "folded.keras")
    folded.export(tmp_path / "saved", verbose=False)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    np.savez(
        tmp_path / "expected.npz",
        images=images.astype("float32"),
        logits=np.asarray(folded(images)),
    )
    code = (
        "import sys; sys.modules['rrelu_tf'] = None\n"
        "import keras, numpy as np, tensorflow as tf\n"
        "expected = np.load('expected.npz')\n"
        "saved = tf.saved_model.load('saved')\n"
        "for logits in (\n"
        "    keras.saving.load_model('folded.keras')(expected['images']),\n"
        "    saved.serve(expected['images']),\n"
        "):\n"
        "    np.testing.assert_allclose(\n"
        "        logits, expected['logits'], rtol=1e-4, atol=1e-5)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_outputs_keep_their_width_and_folding_again_changes_nothing(randomise):
    keras.config.set_dtype_policy("float64")
    inputs = keras.Input((8,))
    a, b = (layers.Dense(6, name=name)(inputs) for name in "ab")
    x = layers.Concatenate()([RReLU(name="r")(a), b])
    model = randomise(keras.Model(inputs, [x, layers.UnitNormalization()(x)]))
    masked = rrelu_tf.mask(model, {"a": np.arange(6) > 2})
    folded = rrelu_tf.fold(masked)
    again = rrelu_tf.fold(rrelu_tf.strip(folded))
    assert [x.shape for x in folded.outputs] == [x.shape for x in model.outputs]
    rrelu_tf.verify(masked, folded)
    rrelu_tf.verify(masked, again)
    assert rrelu_tf.explain(folded)


def test_a_norm_of_another_dtype_keeps_its_own(randomise):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, dtype="mixed_float16")(inputs)
    x = BatchNormalization(dtype="float32", name="bn")(x)
    folded = rrelu_tf.fold(randomise(keras.Model(inputs, x)))
    assert folded.output.dtype == "float32"


def test_slopes_before_channels_first_layers_stay_beside_them(randomise):
    keras.config.set_dtype_policy("float64")
    x = inputs = keras.Input((3, 8, 8))
    x = RReLU(name="r")(x)
    x = layers.ZeroPadding2D(1, data_format="channels_first")(x)
    model = randomise(keras.Model(inputs, layers.Dense(4)(x)), dead=0)
    assert apart(model, rrelu_tf.fold(model)) < 1e-12


@pytest.mark.parametrize("change", [rrelu_tf.strip, rrelu_tf.fold])
def test_what_is_frozen_stays_frozen(change, randomise):
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="in")], name="inner"
    )
    inner.trainable = False
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inner(inputs)))
    masked = rrelu_tf.mask(model, {"inner/in": np.arange(4) > 0})
    small = change(masked)
    for found in (masked, small):
        assert not found.get_layer("inner").trainable
        assert len(found.trainable_variables) == 2
    model.trainable = False
    masked = rrelu_tf.mask(model, {})
    assert not masked.trainable_variables
    assert not change(masked).trainable_variables


def test_convolutions_of_a_channel_a_group_become_depthwise(randomise):
    i = keras.Input((9, 9, 6))
    x = layers.Conv2D(12, 3, groups=6, strides=2, activation="relu", name="a")(
        i
    )
    x = layers.Conv2D(12, 3, groups=12, use_bias=False, name="b")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Reshape((4, 12))(x)
    x = layers.Conv1D(24, 3, groups=12, padding="same", name="c")(x)
    outputs = [
        x,
        layers.Conv1D(24, 3, groups=12, padding="causal", name="causal")(x),
        layers.Conv1D(24, 1, groups=6, name="pairs")(x),
    ]
    model = randomise(keras.Model(i, outputs))
    folded = rrelu_tf.fold(model)
    types = {layer.name: type(layer).__name__ for layer in folded.layers}
    assert types["a"] == types["b"] == "DepthwiseConv2D"
    assert types["c"] == "DepthwiseConv1D"
    assert types["causal"] == types["pairs"] == "Conv1D"
    rrelu_tf.verify(model, folded, tolerance=1e-6)


@pytest.mark.parametrize("layer", ["a", "b", "out"])
def test_verify_names_the_layer_of_a_folded_model_that_is_wrong(
    layer, randomise
):
    i = keras.Input((6, 6, 3))
    x = i
    for name in "ab":
        x = layers.Conv2D(4, 3, name=name)(x)
        x = BatchNormalization(name=f"norm_{name}")(x)
        x = layers.Activation("tanh", name=f"act_{name}")(x)
    x = layers.Dense(2, name="out")(layers.Flatten()(x))
    model = randomise(keras.Model(i, x))
    folded = rrelu_tf.fold(model)
    kernel = folded.get_layer(layer).kernel
    kernel.assign(1.1 * kernel.numpy())
    with pytest.raises(rrelu_tf.strip.NotEquivalent) as caught:
        rrelu_tf.verify(model, folded, tolerance=1e-5)
    assert caught.value.layer == layer
