"""strip around unknown layers, operations and merges: never wrong."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from planned import IMAGE, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import BatchNormalization

pytestmark = pytest.mark.usefixtures("float64")


def test_a_shared_layer_stays_one_layer_as_wide_as_any_call_needs(
    finish, check
):
    i = keras.Input((6, 6, 4))
    both = layers.Conv2D(4, 3, padding="same", name="both")
    x = rrelu([1, 0, 1, 0])(both(i))
    x = conv(both(x), 3, "last")
    small = check(finish(i, x), {"both": 4, "act": 2})
    assert sum(layer.name == "both" for layer in small.layers) == 1
    assert len(small.get_layer("both")._inbound_nodes) == 2


def test_a_nested_model_called_twice_stays_one_model(finish, check):
    nested = keras.Sequential(
        [layers.Dense(5, activation="tanh"), layers.Dense(4)], name="nested"
    )
    i = keras.Input((4,))
    x = rrelu([1, 0, 1, 0])(layers.Dense(4, name="a")(i))
    x = layers.Dense(2, name="b")(nested(nested(x)))
    model = finish(i, x)
    small = check(model, {"a": 2, "act": 2, "nested": 4, "b": 2})
    assert len(small.get_layer("nested").weights) == 4


@keras.saving.register_keras_serializable("test_strip_rules")
class Roll(layers.Layer):
    """What no rule knows: channels move, and one weight scales them."""

    def __init__(self, by=1, **options):
        super().__init__(**options)
        self.by = by

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, x):
        return ops.roll(x, self.by, axis=-1) * self.scale + 1.0

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def test_an_unknown_layer_is_kept_whole_and_given_all_it_had(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "before")(conv(i, 4, "a"))
    x = Roll(2, name="roll")(x)
    x = rrelu([1, 0, 0, 0], "after")(x)
    model = finish(i, conv(x, 2, "b"))
    check(model, {"a": 2, "before": 2, "roll": 4, "after": 1})


@pytest.mark.parametrize(
    "layer",
    [
        lambda name: layers.BatchNormalization(name=name),
        lambda name: layers.Dropout(0.5, seed=3, name=name),
        lambda name: layers.GaussianNoise(1.0, seed=3, name=name),
        lambda name: layers.SpectralNormalization(
            layers.Conv2D(4, 3, name="inner"), name=name
        ),
    ],
)
def test_a_call_that_trains_by_itself_is_kept_whole(layer, finish):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0], "before")(conv(i, 4, "a"))
    x = layer("trained")(x, training=True)
    x = rrelu([1, 0, 0, 0], "after")(x)
    model = finish(i, conv(x, 2, "b"))
    small = rrelu_tf.strip(model)
    assert small.get_layer("a").filters == 2
    assert small.get_layer("trained").output.shape[-1] == 4
    assert small.get_layer("b").kernel.shape[-2] == 1
    assert "opaque: called with training=True" in rrelu_tf.explain(model)
    images = np.random.default_rng(0).normal(size=(8, *IMAGE))
    # Each model's random numbers begin anew: both draw the same ones.
    large, small = (keras.models.clone_model(m) for m in (model, small))
    large.set_weights(model.get_weights())
    small.set_weights(rrelu_tf.strip(model).get_weights())
    truth = np.asarray(large(images))
    assert np.ptp(truth) > 0
    np.testing.assert_allclose(small(images), truth, rtol=1e-4, atol=1e-5)


def test_a_subclass_of_a_known_layer_is_unknown(finish, check):
    class Shifted(layers.Conv2D):
        def call(self, x):
            return ops.roll(super().call(x), 1, axis=-1)

    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0])(Shifted(4, 3, name="a")(i))
    check(finish(i, conv(x, 2, "b")), {"a": 4, "act": 2})


def test_a_grouped_conv_loses_the_group_that_nothing_reads(finish, check):
    i = keras.Input((6, 6, 4))
    x = rrelu([1, 0, 1, 0], "before")(conv(i, 4, "a"))
    x = rrelu([1, 1, 0, 0], "after")(conv(x, 4, "g", groups=2))
    model = finish(i, conv(x, 2, "b"))
    check(model, {"a": 1, "before": 1, "g": 2, "after": 2})


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: ops.add(x, 3),
        lambda x: x * 2 - 1,
        lambda x: ops.concatenate([x, x * 2], axis=-1),
        lambda x: x[..., 1:3],
        lambda x: x[:, ::2],
        lambda x: ops.transpose(x, (0, 2, 1, 3)),
        lambda x: ops.mean(x, axis=-1, keepdims=True),
        lambda x: ops.split(x, 2, axis=-1)[1],
        lambda x: ops.stack([x, x], axis=1)[:, 0],
        lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]),
        lambda x: ops.where(x > 0, x, x * 0.1),
        lambda x: ops.reshape(x, (-1, 5, 24)),
        lambda x: ops.einsum("bhwc,bhwd->bhcd", x, x),
        lambda x: ops.cast(ops.cast(x * 4, "int32"), "float64"),
        lambda x: ops.softmax(x, axis=-1),
    ],
)
def test_dead_channels_go_in_front_of_any_operation(operation, finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0])(conv(i, 4, "a"))
    x = layers.Dense(2, name="b")(operation(x))
    small = check(finish(i, x), {})
    # A slice and a split read one live channel of the two.
    assert small.get_layer("a").filters <= 2


def test_an_add_that_broadcasts_is_as_wide_as_what_it_spreads(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 0, 0, 0])(conv(i, 4, "a"))
    s = layers.GlobalAveragePooling2D(keepdims=True)(conv(i, 4, "gate"))
    x = conv(layers.Add(name="add")([x, s]), 2, "b")
    check(finish(i, x), {"a": 1, "add": 4, "gate": 4})


def test_channels_that_no_merge_needs_go(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 1, 0, 1], "x")(conv(i, 4, "a"))
    y = rrelu([1, 1, 0, 0], "y")(conv(i, 4, "b"))
    merged = [
        layers.Multiply()([x, y]),
        layers.Concatenate()([x, y]),
        layers.Maximum()([x, y]),
        layers.Subtract()([x, y]),
    ]
    outputs = [conv(m, 2, f"c{n}") for n, m in enumerate(merged)]
    check(finish(i, outputs), {"a": 2, "b": 2})


def test_masks_of_time_steps_survive(finish, check):
    i = keras.Input((7, 3))
    x = layers.Masking(name="masking")(i)
    x = rrelu([1, 0, 1, 0, 1])(layers.Dense(5, name="a")(x))
    x = BatchNormalization(name="bn")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    model = finish(i, layers.Dense(2, name="b")(x))
    small = check(model, {"a": 3, "act": 3})
    steps = np.random.default_rng(0).normal(size=(4, 7, 3))
    steps[:, 4:] = 0
    np.testing.assert_allclose(small(steps), model(steps), rtol=1e-12)


def test_channels_first_is_narrowed_where_its_channels_are(finish):
    i = keras.Input((3, 6, 6))
    x = layers.Conv2D(4, 3, data_format="channels_first", name="a")(i)
    x = rrelu([1, 0, 1, 0])(layers.Permute((2, 3, 1))(x))
    model = finish(i, layers.Dense(2, name="b")(x))
    small = rrelu_tf.strip(model)  # the CPU cannot run this conv
    assert small.get_layer("a").filters == 2
    assert small.get_layer("act").slope.shape == (2,)
