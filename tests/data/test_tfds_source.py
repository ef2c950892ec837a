"""TFDS's prepared data sets, real ones and small ones made here."""

import pathlib
import re
import shutil

import numpy as np
import pytest

from rrelu_tf.data import load
from rrelu_tf.errors import UserError

TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture
def data_dir(shared):
    folder = shared / "tensorflow_datasets"
    if not folder.is_dir():
        pytest.skip("../shared/tensorflow_datasets is not here")
    return folder


def labels(batches):
    return np.concatenate([labels for _, labels in batches])


def one_line(caught):
    message = str(caught.value)
    assert re.search(r"\. Received: \w+=\S+$", message), message
    assert "\n" not in message
    return message


def test_mnist_loads_whole_with_its_class_counts(data_dir):
    data = load("mnist", data_dir=data_dir, validation_split=0.1)
    assert (data.train_size, data.validation_size) == (54_000, 6_000)
    assert data.test_size == 10_000
    assert data.preprocessing.mean == (0.0,)
    training, validation = labels(data.train()), labels(data.validation)
    counts = np.bincount(training) + np.bincount(validation)
    assert counts.tolist() == TRAIN
    assert np.bincount(labels(data.test)).tolist() == TEST
    images, _ = next(iter(data.test))
    assert images.shape == (128, 28, 28, 1)
    np.testing.assert_allclose(
        images[0] * 255, data.source.test.images[0], rtol=1e-6
    )


@pytest.mark.slow
def test_cifar10_loads_whole_and_says_that_it_is_jpeg(data_dir):
    data = load("cifar10", data_dir=data_dir, normalization="standard")
    assert "stored as JPEG" in data.description
    np.testing.assert_allclose(
        data.preprocessing.mean, (0.487, 0.482, 0.441), atol=2e-3
    )
    counts = np.bincount(labels(data.train(0, 1)))
    assert counts.tolist() == [4500] * 10


@pytest.mark.slow
def test_a_streamed_split_gives_what_memory_gives(data_dir):
    memory, stream = (
        load("mnist", data_dir=data_dir, cache=cache)
        for cache in ("memory", "none")
    )
    pairs = zip(memory.validation, stream.validation, strict=True)
    for one, two in pairs:
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    counts = np.bincount(labels(memory.train()))
    np.testing.assert_array_equal(np.bincount(labels(stream.train())), counts)


def cut(source, target, keep):
    """A copy of mnist whose training file is cut to a fraction."""
    shutil.copytree(source / "mnist", target / "mnist")
    (path,) = (target / "mnist").glob("*/*-train.tfrecord*")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


@pytest.mark.parametrize("cache", ["auto", "none"])
@pytest.mark.parametrize("keep", [0.2, 0.0])
def test_a_truncated_tfrecord_is_named(data_dir, tmp_path, cache, keep):
    path = cut(data_dir, tmp_path, keep)
    with pytest.raises(UserError, match="of 60000") as caught:
        load("mnist", data_dir=tmp_path, cache=cache)
    assert one_line(caught).endswith(f"file={path}")


def test_a_corrupt_and_a_missing_tfrecord_are_named(data_dir, tmp_path):
    path = cut(data_dir, tmp_path, 1.0)
    content = bytearray(path.read_bytes())
    content[len(content) // 50] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match="unreadable after") as caught:
        load("mnist", data_dir=tmp_path)
    assert one_line(caught).endswith(f"file={path}")
    path.unlink()
    with pytest.raises(UserError, match="one is missing") as caught:
        load("mnist", data_dir=tmp_path)
    assert one_line(caught).endswith(f"file={path}")


def test_what_is_not_downloaded_asks_for_the_flag(data_dir, tmp_path):
    with pytest.raises(UserError, match="pass --download") as caught:
        load("cifar100", data_dir=data_dir)
    assert one_line(caught).endswith(f"data_dir={data_dir}")
    with pytest.raises(UserError, match="it is empty"):
        load("mnist", data_dir=tmp_path)


def test_a_download_that_cannot_be_done_says_why(tmp_path):
    # ImageNet must be fetched by hand, so TFDS stops before any network use.
    with pytest.raises(UserError, match="Manual directory") as caught:
        load("imagenet2012", data_dir=tmp_path, download=True, image_size=8)
    one_line(caught)


def prepare(folder, name, count=40, test="test", label=None):
    """Prepares a data set of RGB images of many sizes, as TFDS stores it."""
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["a", "b"]),
        }
    )
    target = pathlib.Path(folder) / name / "1.0.0"
    target.mkdir(parents=True)
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=name,
            version=tfds.core.Version("1.0.0"),
            data_dir=str(target),
            module_name="",
        ),
        features=features,
    )
    writer = tfds.core.SequentialWriter(
        info, max_examples_per_shard=8, overwrite=True
    )
    writer.initialize_splits(["train", test])
    for number in range(count):
        image = np.full((10 + number % 7, 12 + number % 5, 3), number)
        wrong = label is not None and number == 3
        example = {
            "image": image.astype(np.uint8),
            "label": label if wrong else number % 2,
        }
        split = "train" if number < count * 3 // 4 else test
        writer.add_examples({split: [example]})
    writer.close_all()


def values(batches):
    return [
        round(float(image.mean()) * 255)
        for images, _ in batches
        for image in images.numpy()
    ]


def test_a_data_set_without_code_and_of_many_sizes_is_streamed(tmp_path):
    prepare(tmp_path, "ragged", test="validation")
    with pytest.raises(UserError, match="need an image_size") as caught:
        load("ragged", data_dir=tmp_path)
    one_line(caught)
    data = load(
        "ragged",
        data_dir=tmp_path,
        image_size=8,
        batch_size=7,
        normalization="unit",
    )
    assert data.name == "ragged"
    assert (data.train_size, data.validation_size) == (27, 3)
    assert values(data.test) == list(range(30, 40))
    held_out = values(data.validation)
    first, second = values(data.train(0, 1)), values(data.train(1, 2))
    assert sorted(first + held_out) == list(range(30))
    assert first != second
    assert sorted(first) == sorted(second)
    assert values(data.train(0, 2)) == first + second


def test_labels_out_of_range_are_found(tmp_path):
    prepare(tmp_path, "outside", label=-1)
    with pytest.raises(UserError, match=r"labels must lie in 0..1") as caught:
        load("outside", data_dir=tmp_path, image_size=8)
    assert one_line(caught).endswith("label=-1")


def test_data_sets_of_something_else_are_refused(tmp_path):
    prepare(tmp_path, "unlabelled")
    path = tmp_path / "unlabelled" / "1.0.0" / "features.json"
    path.write_text(path.read_text().replace('"label"', '"target"'))
    with pytest.raises(UserError, match="features image") as caught:
        load("unlabelled", data_dir=tmp_path, image_size=8)
    one_line(caught)
