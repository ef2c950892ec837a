"""What `score` is given: data in their order, and one line for a mistake."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import rrelu_tf
from rrelu_tf import scoring
from rrelu_tf.errors import UserError

BY_GRADIENTS = ["fisher", "orthoreg", "tfo", "rdt", "grasp"]


@pytest.fixture
def model():
    image = keras.Input((4,))
    x = layers.Dense(5, name="hidden")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    return keras.Model(image, layers.Dense(3)(x), name="net")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 4)).astype("float32"), np.arange(12) % 3


def refused(model, *arguments, **options):
    """The message, of one line."""
    with pytest.raises(UserError) as caught:
        rrelu_tf.score(model, *arguments, **options)
    (line,) = str(caught.value).splitlines()
    return line


def equal(a, b):
    assert list(a) == list(b)
    for key, values in a.items():
        np.testing.assert_allclose(values, b[key], 1e-5)


def test_there_is_a_score_by_every_name(model, data):
    for method in scoring.methods():
        if method == "slope":
            continue
        (values,) = rrelu_tf.score(model, method, data).values()
        assert values.shape == (5,) and values.dtype.kind == "f"
        assert np.isfinite(values).all()


@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_the_first_samples_count_whatever_the_batches(model, data, method):
    images, labels = data
    first = images[:7], labels[:7]
    options = {"per_batch": False} if method == "tfo" else {}
    expected = rrelu_tf.score(model, method, first, **options)
    sets = tf.data.Dataset.from_tensor_slices(data)
    for given, batch_size in (
        (data, 128),
        (data, 3),
        (data, 7),
        (sets.batch(5), 128),
        (sets.batch(1).repeat(), 128),
        ((tf.constant(images), labels.tolist()), 2),
        ((images.astype("float64"), labels.astype("uint8")), 4),
    ):
        found = rrelu_tf.score(
            model, method, given, 7, batch_size=batch_size, **options
        )
        equal(found, expected)


def test_several_inputs_come_as_a_structure():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    hidden = layers.Dense(4, name="hidden")
    x = hidden(layers.Concatenate()([a, b]))
    output = layers.Dense(2)(layers.ReLU()(x))
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(6, n)).astype("float32") for n in (3, 2))
    labels = np.arange(6) % 2
    found = rrelu_tf.score(
        keras.Model([a, b], output), "fisher", ((x, y), labels), batch_size=4
    )
    named = keras.Model({"a": a, "b": b}, output)
    again = rrelu_tf.score(named, "fisher", ({"a": x, "b": y}, labels))
    equal(found, again)
    assert "Received: images=" in refused(named, "fisher", (x, labels))


@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_scores_by_gradients_need_data(model, method):
    assert refused(model, method).endswith("Received: data=None")


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (lambda x, y: (x, y + 1), "label=3"),
        (lambda x, y: (x, y - 1), "label=-1"),
        (lambda x, y: (x, y.astype("float32")), "labels=float32 array"),
        (lambda x, y: (x, np.eye(3, dtype=int)[y]), "of shape (12, 3)"),
        (lambda x, y: (x, y[:5]), "images=12, labels=5"),
        (lambda x, y: (x[:, :3], y), "images=(3,)"),
        (lambda x, y: (x[:0], y[:0]), "examples=0"),
        (lambda x, y: x, "data=ndarray"),
        (lambda x, y: (x, y, y), "data=tuple"),
        (lambda x, y: tf.data.Dataset.from_tensor_slices(x), "element_spec="),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)),
            "element_spec=",
        ),
        (
            lambda x, y: tf.data.Dataset.from_tensor_slices((x, y + 9)).batch(
                5
            ),
            "label=9",
        ),
    ],
)
@pytest.mark.parametrize("method", ["fisher", "grasp"])
def test_data_of_other_kinds_are_refused(model, data, change, received, method):
    line = refused(model, method, change(*data))
    assert received in line.partition("Received: ")[2]


@pytest.mark.parametrize(
    ("method", "options", "received"),
    [
        ("fishr", {}, "method=fishr"),
        ("fisher", {"protocol": "paper"}, "protocol=paper"),
        ("fisher", {"samples": 0}, "samples=0"),
        ("fisher", {"samples": 1.5}, "samples=1.5"),
        ("l1", {"samples": None}, "samples=None"),
        ("fisher", {"batch_size": 0}, "batch_size=0"),
        ("fisher", {"batch_size": True}, "batch_size=True"),
        ("fisher", {"normalize": "global"}, "normalize=global"),
        ("fisher", {"per_sample": 1}, "per_sample=1"),
        ("fisher", {"temperature": 200}, "temperature=200"),
        ("l1", {"per_sample": True}, "per_sample=True"),
        ("grasp", {"temperature": 0}, "temperature=0"),
        ("grasp", {"temperature": float("nan")}, "temperature=nan"),
        ("grasp", {"per_class": 0}, "per_class=0"),
        ("grasp", {"classes": 2.5}, "classes=2.5"),
        ("random", {"seed": -1}, "seed=-1"),
        ("random", {"seed": "0"}, "seed=0"),
    ],
)
def test_bad_arguments_are_one_line(model, data, method, options, received):
    line = refused(model, method, data, **options)
    assert line.endswith(f"Received: {received}")


def test_unknown_names_are_told_what_there_is(model, data):
    assert "did you mean fisher?" in refused(model, "fischer", data)
    line = refused(model, "rdt", data, per_sampel=True)
    for name in ("per_sample", "times_weights", "batch_size", "normalize"):
        assert name in line


@pytest.mark.parametrize("method", [*BY_GRADIENTS, "l1", "sfp", "fpgm"])
def test_scores_that_are_not_numbers_are_refused(model, data, method):
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.full((4, 5), np.nan))
    line = refused(model, method, data)
    assert line.startswith(f"Scores by {method} must be finite")
    layer = "norm" if method == "tfo" else "hidden"
    assert line.endswith(f"Received: {layer}=5 of 5 not finite")


def test_images_that_are_not_numbers_are_refused(model, data):
    images, labels = data
    images[3, 1] = np.nan
    for method in BY_GRADIENTS:
        assert "not finite" in refused(model, method, (images, labels))


@pytest.mark.parametrize("method", scoring.methods())
def test_models_without_anything_to_score_are_refused(method):
    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(3)(image), name="line")
    line = refused(model, method, (np.ones((3, 4)), [0, 1, 2]))
    assert line == (
        f"No layer of the model has a {method} score. Received: model=line"
    )


def test_scores_by_gradients_are_of_one_output_of_logits(data):
    image = keras.Input((4,))
    x = layers.Dense(5)(image)
    for outputs in (
        [layers.Dense(3)(x), layers.Dense(2)(x)],
        layers.Reshape((3, 1))(layers.Dense(3)(x)),
    ):
        line = refused(keras.Model(image, outputs), "fisher", data)
        assert "Received: outputs=(None, 3" in line


def test_subclassed_models_have_no_graph(data):
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    for method in ("l1", "fisher"):
        assert refused(Own(), method, data).endswith("Received: model=Own")
