"""The stripped model as a Keras model: its layers, saving, training."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather, RReLU


def images(count=8):
    x = np.random.default_rng(0).normal(size=(count, 8, 8, 3))
    return x.astype("float32")


def test_the_source_is_left_as_it_is(wide):
    model = wide()
    weights, config = model.get_weights(), model.get_config()
    before = model(images()).numpy()
    small = rrelu_tf.strip(model)
    small.layers[3].set_weights(
        [0 * weight for weight in small.layers[3].get_weights()]
    )
    assert model.get_config() == config
    for a, b in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(before, model(images()))
    assert not {id(v) for v in model.variables} & {
        id(v) for v in small.variables
    }


def test_names_and_order_are_the_sources(wide):
    model = wide()
    small = rrelu_tf.strip(model)
    names = [
        layer.name
        for layer in small.layers
        if not isinstance(layer, ChannelGather)
    ]
    assert small.name == model.name
    assert names == [layer.name for layer in model.layers]


def test_settings_of_the_layers_are_the_sources():
    i = keras.Input((6, 6, 3), name="pixels")
    x = layers.Conv2D(
        4,
        3,
        strides=2,
        dilation_rate=1,
        name="a",
        trainable=False,
        kernel_regularizer=keras.regularizers.L2(0.5),
        kernel_constraint="non_neg",
        bias_initializer="ones",
        dtype="mixed_bfloat16",
    )(i)
    x = RReLU(
        name="act",
        slope_regularizer=keras.regularizers.L1(0.25),
        dtype="mixed_bfloat16",
    )(x)
    x = layers.BatchNormalization(name="bn", momentum=0.5, epsilon=0.1)(x)
    x = layers.Dense(2, name="b", activity_regularizer="l2")(x)
    model = keras.Model(i, x, name="settings")
    model.get_layer("bn").trainable = False
    model.get_layer("act").slope.assign([1, 0, 0, 1])
    small = rrelu_tf.strip(model)
    for layer in model.layers:
        config, twin = layer.get_config(), small.get_layer(layer.name)
        config.pop("filters", None)
        found = twin.get_config()
        found.pop("filters", None)
        assert found == config
        assert twin.trainable == layer.trainable
        assert [w.dtype for w in twin.weights] == [
            w.dtype for w in layer.weights
        ]
    assert small.get_layer("a").filters == 2
    assert len(small.losses) == len(model.losses)
    assert [w.name for w in small.trainable_weights] == [
        w.name for w in model.trainable_weights
    ]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_models_strip_and_keep_their_types(wide, policy):
    keras.config.set_dtype_policy(policy)
    model = wide()
    small = rrelu_tf.strip(model)
    assert {v.dtype for v in small.variables} == {"float32"}
    assert small.output.dtype == model.output.dtype
    assert small.count_params() < model.count_params()
    keras.config.set_dtype_policy("float32")
    assert rrelu_tf.verify(model, small).dtype == "float64"


def test_an_add_or_gather_that_casts_keeps_the_outputs_type():
    half = "mixed_bfloat16"
    i = keras.Input((5,))
    x = layers.Dense(4, name="a", dtype=half)(i)
    gone = RReLU(slope_initializer="zeros", dtype=half)(x)
    for last in (
        layers.Add(dtype="float32")([x, gone]),
        ChannelGather([0, 1, 2], dtype="float32")(x),
    ):
        model = keras.Model(i, last)
        small = rrelu_tf.strip(model)
        assert model.output.dtype == small.output.dtype == "float32"
        assert small(np.ones((1, 5))).dtype.name == "float32"


def test_a_frozen_model_stays_frozen(wide):
    model = wide()
    model.trainable = False
    small = rrelu_tf.strip(model)
    assert not small.trainable
    assert not small.trainable_weights


def test_a_sequential_model_strips(randomise):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, name="a"),
            RReLU(name="act"),
            layers.Dense(2, name="b"),
        ],
        name="stack",
    )
    randomise(model)
    model.get_layer("act").slope.assign([1, 0, 1, 0, 0, 1])
    small = rrelu_tf.strip(model)
    assert small.name == "stack"
    assert small.count_params() == 4 * 3 + 3 + 3 + 3 * 2 + 2
    rrelu_tf.verify(model, small)


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_stripped_model_compiles_trains_and_predicts(wide, jit_compile):
    small = rrelu_tf.strip(wide())
    small.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    labels = np.arange(8) % 3
    losses = small.fit(images(), labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert small.predict(images(), verbose=0).shape == (8, 3)


def test_a_stripped_model_saves_and_loads_with_what_it_kept(wide, tmp_path):
    small = rrelu_tf.strip(wide())
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert np.array_equal(small(images()), loaded(images()))
    before, after = rrelu_tf.kept(small), rrelu_tf.kept(loaded)
    assert list(before) == list(after)
    for key, indices in before.items():
        assert np.array_equal(indices, after[key])
        assert indices.dtype.kind == "i"
    again = rrelu_tf.strip(loaded)
    assert again.kept == small.kept
    assert [x.name for x in again.layers] == [x.name for x in loaded.layers]


def test_a_loaded_model_strips_as_the_one_that_was_saved(wide, tmp_path):
    model = wide()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    a, b = rrelu_tf.strip(model), rrelu_tf.strip(loaded)
    assert a.kept == b.kept
    assert np.array_equal(a(images()), b(images()))


def test_kept_are_the_sources_channels(wide):
    model = wide()
    small = rrelu_tf.strip(model)
    for key, indices in rrelu_tf.kept(small).items():
        if key not in {layer.name for layer in model.layers}:
            continue
        source, twin = model.get_layer(key), small.get_layer(key)
        assert len(indices) == twin.output.shape[-1]
        for a, b in zip(source.weights, twin.weights, strict=True):
            if a.name in ("kernel", "bias", "gamma", "beta", "slope"):
                # The last input channels of a kernel differ: norms compare.
                expected = a.numpy()[..., indices]
                if a.shape[:-1] == b.shape[:-1]:
                    assert np.array_equal(expected, b.numpy())
    assert len(rrelu_tf.kept(small)["block_rrelu2"]) < 8


def test_kept_composes_through_two_strips(wide):
    keras.config.set_dtype_policy("float64")
    model = wide(dead=0.3)
    once = rrelu_tf.strip(model)
    scores = rrelu_tf.score(once, "slope")
    keep = rrelu_tf.select(scores, threshold=0.7)
    masked = rrelu_tf.mask(once, keep)
    twice = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, twice)
    assert twice.count_params() < once.count_params() < model.count_params()
    probes = {
        key: keras.Model(net.input, net.get_layer(key).output)
        for net in (twice,)
        for key in rrelu_tf.kept(twice)
    }
    source = wide(dead=0.3)
    slopes = {}
    for key, stays in keep.items():
        layer = source.get_layer(key)
        values = np.zeros(layer.slope.shape)
        at = rrelu_tf.kept(once)[key]
        values[at] = layer.slope.numpy()[at] * stays
        slopes[key] = values
        layer.slope.assign(values)
    x = images(2)
    gathers = 0
    for key, indices in rrelu_tf.kept(twice).items():
        value = probes[key](x)
        if key.endswith("_gather"):
            maker = twice.get_layer(key).input._keras_history.operation.name
            gathers += 1
        else:
            maker = key
        whole = keras.Model(source.input, source.get_layer(maker).output)(x)
        expected = np.asarray(whole)[..., indices]
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)
    assert gathers > 0


def test_only_stripped_models_know_what_they_kept(wide):
    with pytest.raises(UserError, match="Received: model=Functional$"):
        rrelu_tf.kept(wide())


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "model", [Subclassed(), keras.Sequential([layers.Dense(2)])]
)
def test_a_model_without_a_graph_is_refused(model):
    name = type(model).__name__
    with pytest.raises(UserError, match=f"Received: model={name}$"):
        rrelu_tf.strip(model)


def test_a_network_of_a_thousand_layers(randomise, gap):
    x = inputs = keras.Input((2,))
    for number in range(330):
        y = layers.Dense(2, name=f"d{number}")(x)
        x = layers.Add()([x, RReLU(name=f"r{number}")(y)])
    model = randomise(keras.Model(inputs, x))
    for number in range(330):
        model.get_layer(f"r{number}").slope.assign([0.0, 0.01])
    small = rrelu_tf.strip(model)
    assert len(small.layers) > 1200
    assert gap(model, small) < 1e-5
    assert gap(model, rrelu_tf.mask(small, {})) < 1e-5
