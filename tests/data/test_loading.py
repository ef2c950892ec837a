"""What `load` promises, on the embedded digits."""

import collections
import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.data import load
from rrelu_tf.errors import UserError

RAW = {"augmentation": "none", "normalization": "unit"}


def collect(batches):
    """Every image and label, as two arrays."""
    images, labels = zip(*batches.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def multiset(batches):
    """How often each (image, label) occurs."""
    return collections.Counter(
        (image.tobytes(), int(label))
        for image, label in zip(*collect(batches), strict=True)
    )


def digest(data):
    """One hash of two epochs, bit for bit."""
    total = hashlib.sha256()
    for array in collect(data.train(0, 2)):
        total.update(array.tobytes())
    return total.hexdigest()


def test_digits_have_the_shapes_sizes_and_dtypes_of_the_contract():
    data = load()
    assert (data.train_size, data.validation_size) == (1294, 144)
    assert data.test_size == 359
    assert data.image_shape == (8, 8, 1)
    assert data.class_names == [str(digit) for digit in range(10)]
    assert data.steps_per_epoch == 11
    assert data.train(0, 3).cardinality() == 33
    images, labels = data.train().element_spec
    assert images == tf.TensorSpec([None, 8, 8, 1], tf.float32)
    assert labels == tf.TensorSpec([None], tf.int32)
    sizes = [len(labels) for _, labels in data.train(0, 2)]
    assert sizes == ([128] * 10 + [14]) * 2
    assert "1,294 training" in data.description
    assert "\n" not in data.description


def test_an_epoch_is_a_pure_function_of_seed_and_number():
    one, two = load(seed=5), load(seed=5)
    tf.random.set_seed(1)
    first = collect(one.train(3, 4))
    tf.random.set_seed(2)
    again = collect(two.train(3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], collect(one.train(4, 5))[0])
    assert not np.array_equal(first[0], collect(load(seed=6).train(3, 4))[0])


def test_going_on_from_an_epoch_sees_what_an_uninterrupted_run_sees():
    data = load(batch_size=100)
    whole = list(data.train(0, 4).as_numpy_iterator())
    rest = list(data.train(2, 4).as_numpy_iterator())
    assert len(rest) == 2 * data.steps_per_epoch
    for whole_batch, rest_batch in zip(
        whole[2 * data.steps_per_epoch :], rest, strict=True
    ):
        np.testing.assert_array_equal(whole_batch[0], rest_batch[0])
        np.testing.assert_array_equal(whole_batch[1], rest_batch[1])


def test_another_process_draws_the_same_bits(repository):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from test_loading import digest; from rrelu_tf.data import load; "
        "print(digest(load(seed=7)))"
    )
    here = os.path.dirname(__file__)
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    result = subprocess.run(
        [sys.executable, "-c", program, here],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == digest(load(seed=7))


def test_every_training_example_comes_exactly_once_per_epoch():
    data = load(validation_split=0, batch_size=100, **RAW)
    first, second = multiset(data.train(0, 1)), multiset(data.train(1, 2))
    assert first.total() == 1438
    assert first == second
    images, _ = collect(data.train())
    found = np.rint(images * 255).astype(np.uint8)
    assert sorted(image.tobytes() for image in found) == sorted(
        image.tobytes() for image in data.source.train.images
    )


def test_validation_and_training_share_nothing_and_miss_nothing():
    whole = multiset(load(validation_split=0, **RAW).train())
    data = load(validation_split=0.25, seed=3, **RAW)
    training, validation = multiset(data.train()), multiset(data.validation)
    assert validation.total() == data.validation_size == round(1438 / 4)
    assert training + validation == whole


def test_validation_is_stratified_and_drawn_from_the_seed():
    data = load(validation_split=0.25, seed=3)
    _, held_out = collect(data.validation)
    _, training = collect(data.train())
    counts = np.bincount(held_out) + np.bincount(training)
    assert np.all(np.abs(np.bincount(held_out) - counts / 4) < 1)
    other = load(validation_split=0.25, seed=4)
    assert not np.array_equal(
        data.validation_positions, other.validation_positions
    )


def test_without_a_validation_split_there_is_none():
    data = load(validation_split=0)
    assert data.validation is None
    assert data.validation_size == 0


def test_the_test_split_depends_on_no_seed():
    for seed in (1, 2):
        first, again = load(seed=0, **RAW), load(seed=seed, **RAW)
        for one, two in zip(
            collect(first.test), collect(again.test), strict=True
        ):
            np.testing.assert_array_equal(one, two)
    assert np.bincount(collect(first.test)[1]).min() >= 34
    assert not multiset(first.test) & multiset(first.train())


def test_a_fit_from_the_middle_ends_bit_for_bit_where_a_whole_fit_ends():
    import keras

    data = load(batch_size=500)

    def model():
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Flatten(), keras.layers.Dense(10)]
        built = keras.Sequential([keras.Input(data.image_shape), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        built.compile(keras.optimizers.SGD(0.1), loss)
        return built

    def fit(model, start, stop):
        model.fit(
            data.train(start, stop),
            initial_epoch=start,
            epochs=stop,
            steps_per_epoch=data.steps_per_epoch,
            validation_data=data.validation,
            shuffle=False,
            verbose=0,
        )

    whole, parts = model(), model()
    fit(whole, 0, 3)
    fit(parts, 0, 1)
    fit(parts, 1, 3)
    for one, two in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_standard_normalisation_is_measured_on_the_training_part_alone():
    data = load(normalization="standard", validation_split=0.5)
    pixels = data.source.train.images[data.training_positions] / 255
    np.testing.assert_allclose(data.preprocessing.mean, [pixels.mean()])
    np.testing.assert_allclose(data.preprocessing.std, [pixels.std()])
    assert data.preprocessing.mean != load().preprocessing.mean


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"validation_split": 1.0},
        {"validation_split": -0.1},
        {"validation_split": float("nan")},
        {"validation_split": 0.999},
        {"validation_split": 1e-6},
        {"seed": -1},
        {"image_size": 0},
        {"augmentation": "crop_flop"},
        {"normalization": "imagnet"},
        {"normalization": "imagenet"},
        {"cache": "tape"},
        {"dataset": "./no/such/folder"},
        {"dataset": "mnits"},
        {"dataset": "huggingface:mnist"},
        {"dataset": "a/b/c"},
        {"dataset": "mnist", "data_dir": "/no/such/directory"},
        {"dataset": "mnist", "data_dir": __file__},
    ],
    ids=json.dumps,
)
def test_bad_input_is_one_line_that_names_what_was_received(options):
    with pytest.raises(UserError) as caught:
        load(**options)
    message = str(caught.value)
    assert re.search(r"[.?] Received: \w+=\S+$", message)
    assert "\n" not in message


def test_near_names_are_suggested():
    with pytest.raises(UserError, match="did you mean cifar10 or cifar100"):
        load("cifar")
    with pytest.raises(UserError, match="did you mean crop_flip"):
        load(augmentation="crop_flop")


def test_training_epochs_must_not_run_backwards():
    with pytest.raises(UserError, match="first_epoch=3, epochs=2"):
        load().train(3, 2)
    assert load().train(2, 2).cardinality() == 0


def test_unaugmented_training_examples_come_in_order_and_evenly_spaced():
    data = load(augmentation="crop_flip", batch_size=100)
    pixels = data.source.train.images[data.training_positions] / 255
    for most, places in (
        (5_000, np.arange(1294)),
        (647, np.arange(647) * 2),
        (3, [0, 431, 862]),
    ):
        batches = list(data.unaugmented(most))
        images, labels = (np.concatenate(x) for x in zip(*batches, strict=True))
        truth = data.source.train.labels[data.training_positions[places]]
        assert np.array_equal(labels, truth)
        mean, std = data.preprocessing.mean, data.preprocessing.std
        expected = (pixels[places] - mean) / std
        np.testing.assert_allclose(images, expected, atol=1e-5)
