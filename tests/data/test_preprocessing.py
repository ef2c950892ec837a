"""Evaluation and serving see the same numbers."""

import json

import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.data import Preprocessing, load

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def images():
    shape = (4, 30, 45, 3)
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


def test_normalisation_is_the_written_formula(images):
    preprocessing = Preprocessing(MEAN, STD, (30, 45, 3))
    found = preprocessing.apply(tf.constant(images))
    expected = (images / 255 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == tf.float32


def test_json_brings_the_same_object_back():
    preprocessing = Preprocessing(MEAN, STD, (24, 24, 3), resize=27)
    text = preprocessing.to_json()
    assert Preprocessing.from_json(text) == preprocessing
    assert json.loads(text)["resize"] == 27


def test_the_shorter_side_is_resized_and_the_centre_cut_out(images):
    preprocessing = Preprocessing((0.0,) * 3, (1.0,) * 3, (24, 24, 3), 27)
    found = preprocessing.apply(tf.constant(images))
    resized = tf.image.resize(images, (27, 45 * 27 // 30)).numpy()
    expected = resized[:, 1:25, 8:32] / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_sizes_may_differ_from_call_to_call_inside_one_graph():
    preprocessing = Preprocessing(MEAN, STD, (24, 24, 3), resize=27)
    signature = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    served = tf.function(preprocessing.apply, input_signature=signature)
    for shape in ((1, 10, 99, 3), (2, 99, 10, 3), (3, 27, 27, 3)):
        assert served(tf.ones(shape, tf.uint8)).shape == (shape[0], 24, 24, 3)


def test_images_of_another_shape_are_refused(images):
    preprocessing = Preprocessing(MEAN, STD, (45, 30, 3))
    with pytest.raises(tf.errors.InvalidArgumentError, match="compatible"):
        preprocessing.apply(tf.constant(images))


@pytest.mark.parametrize("image_size", [None, 12])
def test_serving_equals_evaluation(image_size):
    data = load(normalization="standard", image_size=image_size)
    preprocessing = Preprocessing.from_json(data.preprocessing.to_json())
    module = tf.Module()
    module.serve = tf.function(
        preprocessing.apply,
        input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.uint8)],
    )
    served = module.serve(tf.constant(data.source.test.images))
    evaluated = np.concatenate([images for images, _ in data.test])
    np.testing.assert_array_equal(served, evaluated)
    assert served.shape[1:] == data.image_shape
