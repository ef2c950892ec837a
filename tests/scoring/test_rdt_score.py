"""rdt against one gradient for each example and class."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import AugmentedConv2D
from rrelu_tf.scoring import directions, rdt, squares


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(2, 6, 6, 4))


def close(found, expected, dtype="float64", float32=1e-4):
    assert list(found) == list(expected)
    near = 1e-6 if dtype == "float64" else float32
    for key, values in expected.items():
        largest = np.abs(values).max()
        np.testing.assert_allclose(
            found[key], values, near, 0.1 * near * largest
        )


def of(model, images, **options):
    return rrelu_tf.score(
        model, "rdt", (images, np.zeros(len(images), int)), **options
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_variant_is_that_of_a_slow_loop(zoo, dtype, slow, images):
    keys = list(rrelu_tf.score(zoo, "l1"))
    reference = slow(zoo, keys)
    p = np.exp(reference.logs(images))
    gradients = [
        [
            reference.gradients(lambda i=i, j=j: reference.logs(images)[i, j])
            for j in range(3)
        ]
        for i in range(2)
    ]

    def mean(square):
        return {
            key: sum(
                p[i, j] * square(key, gradients[i][j][key])
                for i in range(2)
                for j in range(3)
            )
            / 2
            for key in keys
        }

    def sums(key, parts):
        return sum(slow.by_filter(key, part) for part in parts)

    close(
        of(zoo, images, batch_size=1),
        mean(lambda key, x: sums(key, [w**2 * g**2 for w, g in x])),
        dtype,
    )
    close(
        of(zoo, images, times_weights=False),
        mean(lambda key, x: sums(key, [g**2 for _, g in x])),
        dtype,
    )
    close(
        of(zoo, images, per_weight=False),
        mean(lambda key, x: sums(key, [w * g for w, g in x]) ** 2),
        dtype,
    )


@pytest.mark.parametrize("per_weight", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classes_that_a_sure_net_leaves_out_do_not_matter(
    dtype, per_weight, slow
):
    keras.config.set_dtype_policy(dtype)
    image = keras.Input((6, 6, 4))
    x = layers.Conv2D(4, 3, strides=2, name="conv")(image)
    x = layers.Dense(5, activation="tanh", name="dense")(layers.Flatten()(x))
    x = layers.Dense(12, name="logits")(x)
    model = keras.Model(image, layers.Rescaling(100.0)(x))
    images = np.random.default_rng(3).normal(size=(4, 6, 6, 4))
    p = np.float64(tf.nn.softmax(model(images)))
    _, count = directions.of_examples(model(images))
    assert p.max(axis=1).mean() > 0.9 and count < 8
    keys, found = ["conv", "dense"], of(model, images, per_weight=per_weight)
    reference, expected = slow(model, keys), dict.fromkeys(keys, 0.0)
    reference.logs = lambda images: tf.nn.log_softmax(model(images))
    for i, j in np.ndindex(p.shape):
        gradients = reference.gradients(
            lambda i=i, j=j: reference.logs(images)[i, j]
        )
        for key, terms in gradients.items():
            products = [np.float64(w * g) for w, g in terms]
            if per_weight:
                value = sum(slow.by_filter(key, x**2) for x in products)
            else:
                value = sum(slow.by_filter(key, x) for x in products) ** 2
            expected[key] += p[i, j] * value / len(images)
    close({key: found[key] for key in keys}, expected, dtype, 1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_means_over_the_batch_inside_the_square(zoo, dtype, slow):
    images = np.random.default_rng(2).normal(size=(3, 6, 6, 4))
    keys = list(rrelu_tf.score(zoo, "l1"))
    reference = slow(zoo, keys)
    expected = dict.fromkeys(keys, 0.0)
    whole = dict.fromkeys(keys, 0.0)
    for batch in (images[:2], images[2:]):
        p = np.exp(reference.logs(batch)).mean(0)
        for j in range(3):
            gradients = reference.gradients(
                lambda b=batch, j=j: tf.reduce_mean(reference.logs(b)[:, j])
            )
            for key, terms in gradients.items():
                weight = len(batch) * p[j] / len(images)
                by_weight = [w**2 * g**2 for w, g in terms]
                expected[key] += weight * sum(
                    slow.by_filter(key, part) for part in by_weight
                )
                total = sum(slow.by_filter(key, w * g) for w, g in terms)
                whole[key] += weight * total**2
    options = {"per_sample": False, "batch_size": 2}
    close(of(zoo, images, **options), expected, dtype)
    close(of(zoo, images, per_weight=False, **options), whole, dtype)


def test_over_means_every_variable_counts_alike():
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, bias_initializer="ones", name="conv")(image)
    x = layers.Flatten()(layers.ReLU()(x))
    model = keras.Model(image, layers.Dense(3)(x))
    images = np.random.default_rng(0).normal(size=(4, 6, 6, 2))
    found = of(model, images.astype("float32"), over_mean=True)["conv"]
    fan_in = 18  # of four filters and four biases
    assert found.sum() == pytest.approx(4 * fan_in + 4, rel=1e-5)


def test_twice_the_divergence_without_a_small_filter():
    """What the score means: the divergence to second order."""
    keras.config.set_dtype_policy("float64")
    image = keras.Input((5,))
    hidden = layers.Dense(4, activation="tanh", name="hidden")(image)
    model = keras.Model(image, layers.Dense(6)(hidden))
    rng = np.random.default_rng(0)
    images = rng.normal(size=(16, 5))
    kernel, bias = model.get_layer("hidden").get_weights()
    kernel[:, 2] *= 1e-3
    model.get_layer("hidden").set_weights([kernel, bias])
    keep = {"hidden": np.arange(4) != 2}
    before, after = (
        keras.ops.log_softmax(net(images))
        for net in (model, rrelu_tf.mask(model, keep))
    )
    divergence = np.sum(np.exp(before) * (before - after), axis=1).mean()
    found = of(model, images, per_weight=False)["hidden"][2]
    assert found == pytest.approx(2 * divergence, rel=1e-2)


def test_the_number_of_classes_is_the_models():
    for classes in (2, 150):
        model = keras.Sequential(
            [keras.Input((3,)), layers.Dense(4), layers.Dense(classes)]
        )
        images = np.ones((2, 3), "float32")
        for per_sample in (True, False):
            (scores,) = of(model, images, per_sample=per_sample).values()
            assert scores.shape == (4,) and (scores > 0).all()


def test_whole_filters_have_no_variants_by_weight(zoo, images):
    for options in ({"times_weights": False}, {"over_mean": True}):
        with pytest.raises(UserError, match="Received: times_weights="):
            of(zoo, images, per_weight=False, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_directions_at_once_are_one_after_the_other(dtype, monkeypatch):
    """A convolution's squares by one gradient are those of any layer's way."""
    keras.config.set_dtype_policy(dtype)
    image = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="strides")(image)
    x = layers.Conv2D(5, 3, dilation_rate=2, padding="same", name="holes")(x)
    x = layers.Conv2D(6, 1, strides=2, use_bias=False, name="pixels")(x)
    x = AugmentedConv2D(6, (3, 2), activation="tanh", name="valid")(x)
    x = layers.Dense(4, activation="tanh", name="dense")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(40)(x))
    images = np.random.default_rng(0).normal(size=(11, 9, 9, 3)).astype(dtype)
    found, few = of(model, images), of(model, images, batch_size=2)
    assert squares._is_plain(model.get_layer("valid"))
    monkeypatch.setattr(squares, "_is_plain", lambda layer: False)
    monkeypatch.setattr(rdt, "_DIRECTIONS", 2)
    monkeypatch.setattr(rdt, "_EXAMPLES", 3)
    expected = of(model, images)
    assert list(found) == list(expected)
    for key, values in expected.items():
        tolerance = 1e-4 if dtype == "float32" else 1e-11
        np.testing.assert_allclose(found[key], values, tolerance)
        np.testing.assert_allclose(few[key], values, tolerance)


def test_directions_at_once_of_shared_grouped_and_sequence_layers(zoo, images):
    """A batch of 32 has four directions at once, one of 1 a single one."""
    for options in ({}, {"times_weights": False, "over_mean": True}):
        at_once = of(zoo, images, batch_size=32, **options)
        close(at_once, of(zoo, images, batch_size=1, **options))


def test_directions_at_once_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    image = keras.Input((6, 6, 4))
    x = layers.Conv2D(4, 3, groups=2, padding="same", name="grouped")(image)
    x = layers.Conv2D(6, 3, strides=2, activation="tanh", name="strides")(x)
    x = layers.Dense(5, activation="tanh", name="pixels")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(30, dtype="float32")(x)
    model = keras.Model(image, x)
    images = np.random.default_rng(0).normal(size=(9, 6, 6, 4))
    found = of(model, images, batch_size=32)
    expected = of(model, images, batch_size=1)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, 0.05)
