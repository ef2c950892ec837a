"""fisher, orthoreg and tfo against sums of weights times gradients."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.scoring import scores

_NORMS = ["norm", "inner/norm"]
# dtype -> relative tolerance, and that of the largest value.
DTYPES = {"float32": (1e-5, 1e-5), "float64": (1e-9, 0.0)}


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(5, 6, 6, 4)), rng.integers(0, 3, 5)


@pytest.fixture
def sums(zoo, slow, data):
    """key -> sum(w * dL/dw) of each example and channel."""
    images, labels = data
    found = {}
    reference = slow(zoo, rrelu_tf.score(zoo, "l1"))
    for image, label in zip(images, labels, strict=True):
        gradients = reference.gradients(
            lambda i=image, k=label: -reference.logs(i[None])[0, k]
        )
        for key, terms in gradients.items():
            total = sum(slow.by_filter(key, w * g) for w, g in terms)
            found.setdefault(key, []).append(total)
    return {key: np.array(terms) for key, terms in found.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_are_those_of_a_slow_loop(zoo, dtype, data, sums):
    for method, options in (
        ("fisher", {}),
        ("fisher", {"batch_size": 3}),
        ("orthoreg", {"per_sample": True}),
    ):
        found = rrelu_tf.score(zoo, method, data, **options)
        assert list(found) == list(sums)
        for key, terms in sums.items():
            close(found[key], (terms**2).mean(0), dtype)
    found = rrelu_tf.score(zoo, "fisher", data, per_sample=False)
    for key, terms in sums.items():
        close(found[key], terms.mean(0) ** 2, dtype, 100)


def close(found, expected, dtype, factor=1):
    near, of_largest = factor * np.array(DTYPES[dtype])
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, near, of_largest * largest)


@pytest.mark.parametrize(
    ("dtype", "beta", "per_batch"),
    [
        ("float64", True, True),
        ("float64", True, False),
        ("float64", False, False),
        ("float32", True, True),
    ],
)
def test_tfo_takes_gamma_and_beta(zoo, slow, data, dtype, beta, per_batch):
    images, labels = data
    reference = slow(zoo, [])
    inner = zoo.get_layer("inner").get_layer("norm")
    norm = zoo.get_layer("norm")
    reference.weights = {
        "norm": [norm.gamma, norm.beta][: 1 + beta],
        "inner/norm": [inner.gamma],
    }
    batches = []
    for part in (slice(0, 3), slice(3, 5)):
        gradients = reference.gradients(
            lambda p=part: (
                -sum(
                    reference.logs(images[p])[i, k]
                    for i, k in enumerate(labels[p])
                )
            )
        )
        batches.append(
            {key: sum(w * g for w, g in x) for key, x in gradients.items()}
        )
    found = rrelu_tf.score(
        zoo, "tfo", data, beta=beta, per_batch=per_batch, batch_size=3
    )
    assert list(found) == _NORMS
    for key, values in found.items():
        first, second = (batch[key] for batch in batches)
        expected = ((first + second) / 5) ** 2
        if per_batch:
            expected = (first**2 / 3 + second**2 / 2) / 5
        close(values, expected, dtype, 100)


def test_a_pass_is_shared_and_gives_what_each_method_gives(zoo, data):
    together = scores(zoo, ["tfo", "l1", "fisher"], data)
    assert list(together) == ["tfo", "l1", "fisher"]
    for method, found in together.items():
        for key, values in rrelu_tf.score(zoo, method, data).items():
            np.testing.assert_allclose(found[key], values, 1e-9)


def test_batch_statistics_play_no_part():
    """With them a kernel's size would not matter, and fisher would be 0."""
    model = rrelu_tf.models.create(
        "resnet8_b", num_classes=3, input_shape=(8, 8, 1)
    )
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 8, 8, 1)).astype("float32")
    before = model.get_weights()
    found = rrelu_tf.score(model, "fisher", (images, np.arange(8) % 3))
    assert min(values.max() for values in found.values()) > 1e-12
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(old, new)


def test_augmenting_layers_and_dropout_are_off():
    image = keras.Input((8, 8, 1))
    x = layers.RandomFlip()(layers.RandomRotation(0.5)(image))
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = layers.Dropout(0.5)(layers.GaussianNoise(1.0)(x), training=True)
    noisy = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    plain = layers.Flatten()(noisy.get_layer("conv")(image))
    plain = keras.Model(image, noisy.layers[-1](plain))
    rng = np.random.default_rng(0)
    data = rng.normal(size=(4, 8, 8, 1)).astype("float32"), [0, 1, 1, 0]
    a, b = (rrelu_tf.score(m, "fisher", data) for m in (noisy, plain))
    np.testing.assert_allclose(a["conv"], b["conv"], 1e-5)


def test_logits_and_their_softmax_score_the_same():
    image = keras.Input((5,))
    hidden = layers.Dense(4, activation="relu", name="hidden")(image)
    logits = layers.Dense(3)(hidden)
    soft = layers.Dense(3, activation="softmax")
    inner = keras.Sequential([keras.Input((3,)), layers.Softmax()])
    head = keras.Sequential([keras.Input((4,)), soft])
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 5)).astype("float32"), [0, 1, 2, 0, 1, 2]
    expected = rrelu_tf.score(keras.Model(image, logits), "fisher", data)
    for output in (
        layers.Softmax()(logits),
        layers.Activation("softmax")(logits),
        keras.ops.softmax(logits),
        inner(logits),
        keras.ops.log_softmax(logits),
        soft(hidden),
        head(hidden),
    ):
        soft.set_weights(keras.Model(image, logits).layers[-1].get_weights())
        found = rrelu_tf.score(keras.Model(image, output), "fisher", data)
        np.testing.assert_allclose(found["hidden"], expected["hidden"], 1e-4)


def test_float16_layers_are_summed_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    image = keras.Input((6,))
    x = layers.Dense(4, activation="relu", name="hidden")(image)
    half = keras.Model(image, layers.Dense(3)(x))
    keras.config.set_dtype_policy("float32")
    x = layers.Dense(4, activation="relu", name="hidden")(image)
    full = keras.Model(image, layers.Dense(3)(x))
    full.set_weights(half.get_weights())
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 6)).astype("float32"), [0, 1, 2, 0, 1, 2]
    for method in ("fisher", "rdt", "grasp"):
        options = {"temperature": 1.0} if method == "grasp" else {}
        a, b = (
            rrelu_tf.score(m, method, data, **options) for m in (half, full)
        )
        np.testing.assert_allclose(
            a["hidden"], b["hidden"], atol=0.03 * np.abs(b["hidden"]).max()
        )


def test_probabilities_too_small_for_a_float_have_gradients():
    """As those of an untrained deep network: its logits may be thousands."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, name="hidden"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)
    images = (1e4 * rng.normal(size=(6, 4))).astype("float32")
    probabilities = model(images).numpy()
    assert (probabilities.min(axis=1) == 0).all()
    labels = probabilities.argmin(axis=1)
    assert (
        rrelu_tf.score(model, "fisher", (images, labels))["hidden"] > 0
    ).all()
