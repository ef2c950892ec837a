"""What users of other structured pruners ask for most, one test each."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import rrelu_tf
from rrelu_tf.errors import UserError

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def halved(randomise, gap):
    """Masks half of each layer named, strips, and checks that it is equal."""

    def halved(inputs, outputs, keys, gone=None):
        model = randomise(keras.Model(inputs, outputs))
        keep = {}
        for number, key in enumerate(keys):
            width = model.get_layer(key).output.shape[-1]
            generator = np.random.default_rng(number)
            keep[key] = generator.permutation(width) < (width + 1) // 2
        masked = rrelu_tf.mask(model, keep)
        small = rrelu_tf.strip(masked)
        assert gap(masked, small) < 1e-12
        for key in keys if gone is None else gone:
            kept = rrelu_tf.kept(small)[key]
            assert np.array_equal(kept, np.flatnonzero(keep[key]))
        return masked, small

    return halved


def conv(x, filters, name, size=3, **options):
    options = {"padding": "same", **options}
    return layers.Conv2D(filters, size, name=name, **options)(x)


def test_1_a_detector_with_a_pyramid_and_several_heads(halved):
    inputs = keras.Input((16, 16, 3))
    c1 = conv(inputs, 8, "c1", strides=2, activation="silu")
    c2 = conv(c1, 8, "c2", strides=2, activation="silu")
    p1 = layers.Concatenate()([layers.UpSampling2D()(c2), c1])
    pools = [layers.MaxPooling2D(n, 1, "same")(c2) for n in (3, 5)]
    p2 = layers.Concatenate()([c2, *pools])
    left, right = ops.split(conv(p1, 8, "both", 1), 2, axis=-1)
    p1 = layers.Add()([conv(left, 4, "deep"), right])
    heads = {
        f"head{n}": conv(p, 6, f"head{n}", 1) for n, p in enumerate((p1, p2))
    }
    keys = ["c1", "c2", "both", "deep"]
    _, small = halved(inputs, heads, keys)
    assert list(small.output) == ["head0", "head1"]


def test_2_a_vision_transformer_loses_units_and_whole_heads(randomise, gap):
    images = keras.Input((8, 8, 3))
    x = conv(images, 16, "patches", 4, strides=4, padding="valid")
    x = layers.Reshape((-1, 16))(x)
    y = layers.LayerNormalization()(x)
    attention = layers.MultiHeadAttention(4, 4, name="attention")
    x = layers.Add()([x, attention(y, y)])
    y = layers.LayerNormalization()(x)
    y = layers.Dense(16)(layers.Dense(32, "gelu", name="units")(y))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    x = layers.Dense(5)(layers.GlobalAveragePooling1D()(x))
    model = randomise(keras.Model(images, x))
    output = model.get_layer("attention").output_dense.kernel
    output.assign(output.numpy() * np.array([1, 0, 0, 1])[:, None, None])
    masked = rrelu_tf.mask(model, {"units": np.arange(32) % 2 == 0})
    small = rrelu_tf.strip(masked)
    assert gap(masked, small) < 1e-12
    assert small.get_layer("attention").num_heads == 2
    assert small.get_layer("units").units == 16


def test_3_pruning_that_removes_nothing_is_an_error():
    """Where an amount is asked for; a threshold may find nothing below it.

    `bin/prune` refuses that, too: `pruning/test_procedure.py`.
    """
    scores = {"a": np.ones(8)}
    with pytest.raises(UserError):
        rrelu_tf.select(scores, sparsity=0.01)


def test_4_widths_can_be_rounded_and_gathers_avoided(randomise):
    inputs = keras.Input((8, 8, 3))
    x = conv(inputs, 16, "a")
    x = layers.Add()([x, conv(conv(x, 16, "b"), 16, "c")])
    model = randomise(keras.Model(inputs, conv(x, 2, "d")))
    generator = np.random.default_rng(0)
    scores = {key: generator.random(16) for key in "abc"}
    keep = rrelu_tf.select(
        scores, sparsity=0.4, model=model, align="couple", round_to=4
    )
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep), align="couple")
    assert not any("gather" in layer.name for layer in small.layers)
    widths = [small.get_layer(key).filters for key in "abc"]
    assert sum(widths) < 48
    assert not any(width % 4 for width in widths)
    assert widths[0] == widths[2]


def test_5_what_is_saved_is_what_was_stripped(halved, gap, tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = conv(conv(inputs, 8, "a", activation="relu"), 8, "b")
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, conv(x, 8, "c")]))
    masked, small = halved(inputs, layers.Dense(2)(x), ["a", "b", "c"])
    small.save(tmp_path / "small.keras")
    loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert gap(masked, loaded) < 1e-12
    for key, kept in rrelu_tf.kept(small).items():
        assert np.array_equal(kept, rrelu_tf.kept(loaded)[key])
    small.save_weights(tmp_path / "small.weights.h5")
    loaded.load_weights(tmp_path / "small.weights.h5")
    assert gap(masked, loaded) < 1e-12


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_6_groups_of_any_width_and_single_filters(groups, halved):
    inputs = keras.Input((8, 8, 3))
    x = conv(inputs, 8, "a", activation="relu")
    x = conv(x, 16, "grouped", groups=groups, activation="relu")
    gate = conv(x, 1, "one", 1, activation="sigmoid")
    x = layers.DepthwiseConv2D(3, padding="same", name="dw")(x)
    x = conv(layers.Multiply()([x, gate]), 2, "last")
    _, small = halved(inputs, x, ["a", "grouped"], gone=["a"])
    for layer in ("grouped", "dw"):
        assert small.get_layer(layer).output.shape[-1] < 16


def test_7_weights_outside_of_stock_layers(randomise, gap):
    @rrelu_tf.strip.register
    class Blend(layers.Layer):
        """Two tensors, weighted channel by channel."""

        def build(self, shapes):
            self.weight = self.add_weight(shape=(shapes[0][-1],), name="w")

        def call(self, tensors):
            return tensors[0] * self.weight + tensors[1]

    inputs = keras.Input((8, 8, 3))
    a, b = conv(inputs, 8, "a"), conv(inputs, 8, "b")
    x = Blend(name="blend")([a, b]) * np.linspace(1, 2, 8)
    model = randomise(keras.Model(inputs, conv(x, 2, "c")))
    keep = np.arange(8) % 2 == 0
    masked = rrelu_tf.mask(model, {"a": keep, "b": keep})
    small = rrelu_tf.strip(masked)
    assert gap(masked, small) < 1e-12
    assert small.get_layer("blend").weight.shape == (4,)


def test_8_no_layer_is_emptied_by_a_budget(randomise):
    """What accuracy falls all the same, fine-tuning is to win back.

    Its tests: `commands/test_prune_in_rounds.py`, `training/test_starting.py`.
    """
    inputs = keras.Input((8, 8, 3))
    x = conv(conv(inputs, 20, "small_scores"), 20, "large_scores")
    model = randomise(keras.Model(inputs, conv(x, 2, "c")))
    scores = {
        "small_scores": np.linspace(0.001, 0.01, 20),
        "large_scores": np.linspace(1, 2, 20),
    }
    keep = rrelu_tf.select(scores, sparsity=0.5, model=model, min_fraction=0.2)
    assert keep["small_scores"].sum() == 4
    assert sum(stays.sum() for stays in keep.values()) == 20


def test_9_recurrent_layers_stay_whole_and_right(randomise, gap):
    inputs = keras.Input((6, 4))
    x = layers.Dense(8, name="before")(inputs)
    x = layers.LSTM(6, return_sequences=True, name="lstm")(x)
    x = layers.Dense(8, activation="relu", name="after")(x)
    model = randomise(keras.Model(inputs, layers.Dense(2)(x)))
    keep = np.arange(8) % 2 == 0
    masked = rrelu_tf.mask(model, {"before": keep, "after": keep})
    small = rrelu_tf.strip(masked)
    assert gap(masked, small) < 1e-12
    assert small.get_layer("after").units == 4
    assert small.get_layer("before").units == 4
    assert small.get_layer("lstm").units == 6
    assert "lstm" in rrelu_tf.explain(masked)


def test_10_reshapes_and_flattens_in_the_middle(halved):
    inputs = keras.Input((4, 4, 3))
    x = conv(inputs, 12, "a", activation="relu")
    x = layers.Reshape((4, 4, 3, 4))(x)  # channel shuffle
    x = layers.Permute((1, 2, 4, 3))(x)
    x = layers.Reshape((4, 4, 12))(x)
    x = layers.Flatten()(conv(x, 8, "b", activation="relu"))
    x = layers.Dense(10, activation="relu", name="c")(x)
    x = layers.Reshape((1, 1, 10))(x)
    halved(inputs, conv(x, 2, "last"), ["a", "b", "c"])
