"""recalibrate: exact statistics over the batches, nothing else changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf.errors import UserError

OURS, STOCK = (
    rrelu_tf.layers.BatchNormalization,
    keras.layers.BatchNormalization,
)


def images(count=20, size=6):
    return np.random.default_rng(0).normal(1, 3, (count, size, size, 3))


def model(kind, **options):
    i = keras.Input((6, 6, 3))
    x = kind(name="first", **options)(i)
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.layers.ReLU()(kind(name="second", **options)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(i, keras.layers.Dense(2)(x))


def batches(values, *sizes):
    parts = np.split(values.astype("float32"), np.cumsum(sizes)[:-1])
    return tf.data.Dataset.from_generator(
        lambda: iter([(part, np.zeros(len(part), "int32")) for part in parts]),
        output_signature=(
            tf.TensorSpec((None, 6, 6, 3)),
            tf.TensorSpec((None,), tf.int32),
        ),
    )


def statistics(found, name):
    layer = found.get_layer(name)
    return np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)


@pytest.mark.parametrize(("kind", "unbiased"), [(OURS, 1), (STOCK, 0)])
def test_statistics_are_those_of_all_values_together(kind, unbiased):
    x = images()
    found = rrelu_tf.recalibrate(model(kind), batches(x, 9, 9, 2))
    mean, variance = statistics(found, "first")
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(
        variance, x.var((0, 1, 2), ddof=unbiased), rtol=1e-5
    )


@pytest.mark.parametrize("kind", [OURS, STOCK])
def test_later_layers_see_batches_normalised_by_themselves(kind):
    x, source = images(), model(kind)
    found = rrelu_tf.recalibrate(source, batches(x, 12, 8))
    parts = [
        (part - part.mean((0, 1, 2)))
        / np.sqrt(part.var((0, 1, 2)) + source.get_layer("first").epsilon)
        for part in (x[:12], x[12:])
    ]
    seen = np.concatenate([source.get_layer("conv")(p) for p in parts])
    mean, variance = statistics(found, "second")
    np.testing.assert_allclose(mean, seen.mean((0, 1, 2)), atol=1e-5)
    count = seen[..., 0].size
    unbiased = count / (count - 1) if kind is OURS else 1
    np.testing.assert_allclose(
        variance, seen.var((0, 1, 2)) * unbiased, rtol=1e-4
    )


def test_nothing_else_changes_and_the_model_is_left_alone():
    source = model(OURS)
    before = [np.array(w) for w in source.weights]
    found = rrelu_tf.recalibrate(source, images().astype("float32"))
    assert [layer.name for layer in found.layers] == [
        layer.name for layer in source.layers
    ]
    for old, same, new in zip(
        before, source.weights, found.weights, strict=True
    ):
        np.testing.assert_array_equal(old, same)
        moved = not np.array_equal(old, new)
        assert moved == new.name.startswith("moving"), new.path
    assert type(found.get_layer("first")) is OURS


def test_only_so_many_batches_are_used():
    x = images()
    one = rrelu_tf.recalibrate(model(STOCK), batches(x, 9, 11), batches=1)
    np.testing.assert_allclose(
        statistics(one, "first")[0], x[:9].mean((0, 1, 2)), rtol=1e-5
    )


def test_frozen_layers_and_masked_steps_keep_their_statistics():
    source = model(STOCK)
    source.get_layer("first").trainable = False
    found = rrelu_tf.recalibrate(source, batches(images(), 20))
    np.testing.assert_array_equal(statistics(found, "first")[0], 0)
    assert statistics(found, "second")[0].any()
    i = keras.Input((5, 2))
    x = STOCK(name="masked")(keras.layers.Masking()(i))
    sequence = np.ones((4, 5, 2), "float32")
    found = rrelu_tf.recalibrate(keras.Model(i, x), sequence)
    np.testing.assert_array_equal(statistics(found, "masked")[0], 0)


def test_layers_of_several_calls_and_inside_models_are_measured_too():
    shared = STOCK(name="shared")
    i = keras.Input((6, 6, 3))
    inner = keras.Sequential([keras.Input((6, 6, 3)), shared], name="inner")
    x = keras.layers.Add()([inner(i), shared(keras.layers.Rescaling(3.0)(i))])
    x_ = images()
    found = rrelu_tf.recalibrate(keras.Model(i, x), batches(x_, 20)).get_layer(
        "inner"
    )
    both = np.concatenate([x_, 3 * x_])
    np.testing.assert_allclose(
        statistics(found, "shared")[0], both.mean((0, 1, 2)), rtol=1e-5
    )


def test_a_stripped_model_still_knows_what_it_kept():
    source = model(OURS)
    keep = {"conv": np.array([1, 0, 1, 1], bool)}
    small = rrelu_tf.strip(rrelu_tf.mask(source, keep))
    found = rrelu_tf.recalibrate(small, batches(images(), 20))
    assert rrelu_tf.kept(found)["conv"].tolist() == [0, 2, 3]


def test_mistakes_are_one_line():
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for arguments, options, received in (
        ((plain, np.ones((2, 4))), {}, f"model={plain.name}"),
        ((model(STOCK), images()), {"batches": 0}, "batches=0"),
        ((model(STOCK), images(0)), {}, "images=0"),
    ):
        with pytest.raises(UserError, match=f"Received: {received}$"):
            rrelu_tf.recalibrate(*arguments, **options)
