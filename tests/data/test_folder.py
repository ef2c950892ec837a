"""Image folders, made of tiny pictures."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.data import load
from rrelu_tf.errors import UserError

ENCODERS = {
    "png": tf.io.encode_png,
    "jpg": lambda pixels: tf.io.encode_jpeg(pixels, quality=100),
}


def write(path, shape, value, suffix="png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = tf.fill([*shape, 3], tf.constant(value, tf.uint8))
    encoded = ENCODERS[suffix](pixels).numpy()
    path.with_suffix(f".{suffix}").write_bytes(encoded)


def build(root, sizes, names=("cat", "dog"), train=10, test=3):
    """A folder whose every image has its own grey value."""
    value = 0
    for part, count in (("train", train), ("test", test)):
        for name in names:
            for number in range(count):
                shape = sizes[number % len(sizes)]
                value += 5
                write(root / part / name / f"{number:02}", shape, value)
    return root


@pytest.fixture
def folder(tmp_path):
    return build(tmp_path / "pets", [(6, 5)])


@pytest.fixture
def ragged(tmp_path):
    return build(tmp_path / "pets", [(9, 12), (14, 8), (30, 30)])


def values(batches):
    """The grey value of each image, in order."""
    return [
        round(float(image.mean()) * 255)
        for images, _ in batches
        for image in images.numpy()
    ]


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        # The RReLU authors' copy of network slimming, and their ResNet code.
        ("cifar10", (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_a_named_normalisation_has_its_authors_numbers(folder, name, mean, std):
    data = load(folder, validation_split=0.2, normalization=name)
    images, _ = next(iter(data.test))
    grey = 105 / 255  # the first test image, behind twenty of train
    expected = (grey - np.array(mean)) / std
    np.testing.assert_allclose(images[0, 0, 0], expected, rtol=1e-5)


def test_a_folder_loads_in_order_with_its_class_names(folder):
    data = load(folder, validation_split=0.2, normalization="unit")
    assert data.name == "pets"
    assert data.class_names == ["cat", "dog"]
    assert data.image_shape == (6, 5, 3)
    assert (data.train_size, data.validation_size) == (16, 4)
    assert values(data.test) == list(range(105, 131, 5))
    labels = np.concatenate([labels for _, labels in data.test])
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_folder_s_name_picks_no_data_set_s_recipe(tmp_path):
    for name in ("mnist", "cifar10", "pets"):
        data = load(build(tmp_path / name, [(6, 5)]), validation_split=0)
        assert data.name == name
        assert data.transform.name == "none"
        # Every grey value is its own: `standard` gives mean 0, deviation 1.
        images = np.concatenate([images for images, _ in data.train()])
        assert abs(images.mean()) < 1e-5
        assert abs(images.std() - 1) < 1e-5


def test_streaming_gives_the_same_examples_as_memory(folder):
    memory, stream = (
        load(folder, cache=cache, batch_size=4, normalization="unit")
        for cache in ("memory", "none")
    )
    assert values(memory.test) == values(stream.test)
    assert values(memory.validation) == values(stream.validation)
    assert sorted(values(memory.train())) == sorted(values(stream.train()))
    sizes = [len(labels) for _, labels in stream.train(0, 2)]
    assert sizes == [4, 4, 4, 4, 2] * 2
    np.testing.assert_allclose(
        load(folder, cache="none").preprocessing.mean,
        load(folder, cache="memory").preprocessing.mean,
    )


def test_images_of_many_sizes_need_and_take_an_image_size(ragged):
    with pytest.raises(UserError, match="need an image_size"):
        load(ragged)
    data = load(ragged, image_size=8, batch_size=5, normalization="unit")
    assert data.image_shape == (8, 8, 3)
    assert data.preprocessing.resize == 9
    assert data.transform.name == "inception"
    assert values(data.test) == list(range(105, 131, 5))
    epoch = values(data.train(0, 1))
    assert len(set(epoch)) == data.train_size == 18
    assert values(data.train(0, 2))[18:] == values(data.train(1, 2)) != epoch


def test_a_streamed_epoch_is_a_pure_function_of_seed_and_number(ragged):
    first, again = load(ragged, image_size=8), load(ragged, image_size=8)
    tf.random.set_seed(1)
    one = next(iter(first.train(2, 3)))
    tf.random.set_seed(2)
    two = next(iter(again.train(2, 3)))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_jpeg_and_gif_are_read_too(folder):
    write(folder / "test" / "cat" / "99", (6, 5), 240, "jpg")
    # A GIF of one black pixel.
    gif = (
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00"
        b"\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    )
    (folder / "test" / "cat" / "98.gif").write_bytes(gif)
    (folder / "test" / "cat" / "notes.txt").write_text("not an image")
    data = load(folder, image_size=8, normalization="unit")
    assert values(data.test)[3:5] == [0, 240]


def remove_test(root):
    for path in sorted((root / "test").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "test").rmdir()


def rename_class(root):
    (root / "test" / "dog").rename(root / "test" / "wolf")


def empty_class(root):
    for path in (root / "train" / "dog").iterdir():
        path.unlink()


def break_image(root):
    path = root / "train" / "dog" / "04.png"
    path.write_bytes(path.read_bytes()[:60])


def other_file(root):
    (root / "train" / "cat" / "03.png").write_text("no picture")


@pytest.mark.parametrize(
    ("damage", "rule", "received"),
    [
        (remove_test, "test is missing", "pets"),
        (rename_class, "only one has dog, wolf", "pets"),
        (empty_class, "holds none", "train/dog"),
        (break_image, "must be a complete PNG", "train/dog/04.png"),
        (other_file, "must be a complete PNG", "train/cat/03.png"),
    ],
)
def test_a_broken_folder_is_one_line_that_names_the_place(
    folder, damage, rule, received
):
    damage(folder)
    for options in ({}, {"cache": "none"}, {"image_size": 8}):
        with pytest.raises(UserError, match=rule) as caught:
            load(folder, **options)
        assert re.search(rf"Received: \w+=\S*{received}$", str(caught.value))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_cut_jpegs_are_one_line_on_stderr(tmp_path, repository, share):
    noise = np.random.RandomState(0).randint(0, 256, (9, 64, 64, 3))
    for number, pixels in enumerate(noise.astype(np.uint8)):
        whole = tf.io.encode_jpeg(pixels).numpy()
        for part in ("train/cat", "train/dog", "test/cat", "test/dog"):
            path = tmp_path / part / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole[: int(share * len(whole))])
    command = "from rrelu_tf.commands import train as t; exit(t.main())"
    done = subprocess.run(
        [sys.executable, "-c", command, f"--dataset={tmp_path}"],
        cwd=repository,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"file={tmp_path / 'train/cat/0.jpg'}")


def test_one_class_is_no_classification(tmp_path):
    root = build(tmp_path / "pets", [(6, 5)], names=("cat",))
    with pytest.raises(UserError, match="at least two class folders"):
        load(root)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="train is missing"):
        load(tmp_path)


def test_unaugmented_batches_of_a_folder_are_of_all_classes(folder):
    """A folder's images come class after class; some scores go by batches."""
    options = {"normalization": "unit", "batch_size": 8, "validation_split": 0}
    memory, stream = (
        load(folder, **options, cache=cache) for cache in ("memory", "none")
    )
    batches = list(memory.unaugmented(20))
    assert [len(labels) for _, labels in batches] == [8, 8, 4]
    assert all(set(labels.numpy()) == {0, 1} for _, labels in batches)
    grey = values(memory.unaugmented(20))
    assert grey != sorted(grey) == sorted(values(memory.train()))
    for data in (memory, stream, load(folder, **options, seed=5)):
        assert values(data.unaugmented(20)) == grey
    assert sorted(values(memory.unaugmented(4))) == sorted(grey)[::5]
