"""grasp against differences of gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError

_LABELS = np.array([0, 2, 1, 1, 2, 2, 0, 1, 2])


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(9, 4, 4, 2))


@pytest.fixture
def model():
    return create("float64")


def create(dtype):
    keras.config.set_dtype_policy(dtype)
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 2, activation="tanh", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(x)
    x = layers.Dense(4, activation="gelu", name="hidden")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(3, name="output")(x))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return model


def expected(model, images, labels, chosen, temperature=200.0):
    """Sums of w * Hg over filters and biases, H by central differences."""
    weights = model.trainable_weights

    def gradient():
        with tf.GradientTape() as tape:
            logs = tf.nn.log_softmax(
                model(images[chosen], training=False) / temperature
            )
            classes = sorted(set(labels[chosen]))
            means = [
                tf.reduce_mean(logs[labels[chosen] == c][:, c]) for c in classes
            ]
            loss = -tf.add_n(means) / len(classes)
        found = tape.gradient(loss, [weight.value for weight in weights])
        return [part.numpy() for part in found]

    at = [weight.numpy() for weight in weights]
    g = gradient()
    step = 3e-4 / max(np.abs(part).max() for part in g)
    sides = []
    for sign in (1, -1):
        for weight, value, part in zip(weights, at, g, strict=True):
            weight.assign(value + sign * step * part)
        sides.append(gradient())
    for weight, value in zip(weights, at, strict=True):
        weight.assign(value)
    parts = {
        weight.path: value * (a - b) / (2 * step)
        for weight, value, a, b in zip(weights, at, *sides, strict=True)
    }
    kernels = {
        "conv": parts["conv/kernel"].sum((0, 1, 2)),
        "depthwise": parts["depthwise/kernel"].sum((0, 1)).ravel(),
        "hidden": parts["hidden/kernel"].sum(0),
    }
    return {key: value + parts[f"{key}/bias"] for key, value in kernels.items()}


def close(found, truth, near=1e-4):
    assert list(found) == list(truth)
    for key, values in truth.items():
        largest = np.abs(values).max()
        np.testing.assert_allclose(found[key], values, atol=near * largest)
    assert min(values.min() for values in found.values()) < 0


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, range(9)),
        ({"batch_size": 4, "temperature": 1.0}, range(9)),
        ({"per_class": 2, "batch_size": 2}, [0, 1, 2, 3, 4, 6]),
        ({"per_class": 1}, [0, 1, 2]),
        ({"per_class": 2, "samples": 4}, [0, 1, 2, 3]),
        ({"classes": 2}, [0, 2, 3, 6, 7]),
    ],
)
def test_it_is_that_of_the_hessian(model, images, options, chosen):
    found = rrelu_tf.score(model, "grasp", (images, _LABELS), **options)
    chosen = np.array(chosen)
    temperature = {"temperature": options.get("temperature", 200.0)}
    close(found, expected(model, images, _LABELS, chosen, **temperature))


def test_in_float32_it_is_that_of_the_hessian_in_float64(model, images):
    truth = expected(model, images, _LABELS, np.arange(9), temperature=1.0)
    found = rrelu_tf.score(
        create("float32"), "grasp", (images, _LABELS), temperature=1.0
    )
    close(found, truth, 1e-3)


def test_classes_weigh_alike_however_many_examples_they_have(model, images):
    labels = np.array([0, 1, 2, 2, 2, 2, 2, 2, 2])
    found = rrelu_tf.score(model, "grasp", (images, labels))
    close(found, expected(model, images, labels, np.arange(9)))


def test_frozen_kernels_are_scored_too(model, images):
    before = rrelu_tf.score(model, "grasp", (images, _LABELS))
    for name in ("conv", "depthwise", "hidden"):
        model.get_layer(name).trainable = False
    after = rrelu_tf.score(model, "grasp", (images, _LABELS))
    for key, values in before.items():
        np.testing.assert_allclose(after[key], values, 1e-6)


def test_data_sets_are_taken_in_their_order(model, images):
    data = tf.data.Dataset.from_tensor_slices((images, _LABELS)).batch(4)
    found = rrelu_tf.score(model, "grasp", data, per_class=1)
    close(found, expected(model, images, _LABELS, np.arange(3)))


@pytest.mark.parametrize(
    ("labels", "classes", "missing"),
    [
        (np.zeros(9, int), None, "none of class 1. Received: classes=3"),
        (_LABELS % 2, None, "none of class 2. Received: classes=3"),
        (_LABELS, 4, "3 classes.* Received: classes=4"),
        (_LABELS, 0, "classes must be .* Received: classes=0"),
    ],
)
def test_classes_need_examples(model, images, labels, classes, missing):
    with pytest.raises(UserError, match=f"{missing}$"):
        rrelu_tf.score(model, "grasp", (images, labels), classes=classes)


def test_only_examples_that_are_used_count(model, images):
    with pytest.raises(UserError, match="none of class 1"):
        rrelu_tf.score(model, "grasp", (images, _LABELS), samples=2)
