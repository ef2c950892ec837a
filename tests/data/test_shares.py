"""Replicas that share an epoch: no image twice, none missed."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.data import load
from rrelu_tf.data.share import Share, check_batches
from rrelu_tf.errors import UserError
from rrelu_tf.training import feeding

BATCH = 6
# Images, each of one grey value of its own; of some batches the shares differ.
SIZE, TESTED = 44, 11


def numbers(batches):
    """The grey values of each batch, lists of a list."""
    return [
        [round(float(image.mean()) * 255) for image in images.numpy()]
        for images, _ in batches
    ]


@pytest.fixture
def folder(tmp_path):
    for part, first, count in (("train", 0, SIZE), ("test", SIZE, TESTED)):
        for number in range(first, first + count):
            image = tf.fill((5, 4, 3), tf.constant(number, tf.uint8))
            path = tmp_path / "grey" / part / f"class{number % 2}"
            path.mkdir(parents=True, exist_ok=True)
            content = tf.io.encode_png(image).numpy()
            (path / f"{number:02}.png").write_bytes(content)
    return tmp_path / "grey"


@pytest.fixture
def data_dir(tmp_path):
    """A TFDS data set in files of 8 examples."""
    import tensorflow_datasets as tfds

    target = pathlib.Path(tmp_path) / "grey" / "1.0.0"
    target.mkdir(parents=True)
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name="grey",
            version=tfds.core.Version("1.0.0"),
            data_dir=str(target),
            module_name="",
        ),
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(5, 4, 3)),
                "label": tfds.features.ClassLabel(names=["a", "b"]),
            }
        ),
    )
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=8)
    writer.initialize_splits(["train", "test"])
    for number in range(SIZE + TESTED):
        image = np.full((5, 4, 3), number, np.uint8)
        split = "train" if number < SIZE else "test"
        example = {"image": image, "label": number % 2}
        writer.add_examples({split: [example]})
    writer.close_all()
    return tmp_path


def of_folder(folder, monkeypatch, cache):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
    return load(
        *(folder,),
        cache=cache,
        batch_size=BATCH,
        validation_split=0.25,
        normalization="unit",
        augmentation="none",
    )


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_shares_are_the_whole_batch_for_batch(
    folder, monkeypatch, cache, count
):
    data = of_folder(folder, monkeypatch, cache)
    parts = [data.shared(index, count) for index in range(count)]
    for split in (
        lambda part: part.train(0, 2),
        lambda part: part.validation,
        lambda part: part.test,
    ):
        whole = numbers(split(data))
        shared = zip(*(numbers(split(part)) for part in parts), strict=True)
        assert [sum(shares, []) for shares in shared] == whole
    assert sorted(sum(numbers(data.train()), [])) != list(range(SIZE))
    found = sum(numbers(data.train()) + numbers(data.validation), [])
    assert sorted(found) == list(range(SIZE))


@pytest.mark.parametrize("count", [2, 3])
def test_shares_of_tfds_files_are_the_whole_epoch_for_epoch(data_dir, count):
    data = load(
        "grey",
        data_dir=data_dir,
        cache="none",
        batch_size=BATCH,
        validation_split=0.25,
        normalization="unit",
    )
    parts = [data.shared(index, count) for index in range(count)]
    orders = []
    for epoch in (0, 1):
        taken = [numbers(part.train(epoch, epoch + 1)) for part in parts]
        assert {len(batches) for batches in taken} == {data.steps_per_epoch}
        for batches in taken:
            assert {len(b) for b in batches[:-1]} == {BATCH // count}
        orders.append(sum((sum(batches, []) for batches in taken), []))
    assert orders[0] != orders[1]
    validation, test = (
        sum((sum(numbers(split(part)), []) for part in parts), [])
        for split in (lambda part: part.validation, lambda part: part.test)
    )
    assert len(validation) == SIZE // 4
    for order in orders:
        assert sorted(order + validation) == list(range(SIZE))
    assert test == list(range(SIZE, SIZE + TESTED))
    assert validation == sum(numbers(data.validation), [])


def test_a_replica_opens_the_files_of_its_share_alone(data_dir):
    data = load("grey", data_dir=data_dir, cache="none", batch_size=BATCH)
    first = numbers(data.shared(0, 2).train())
    last = sorted((data_dir / "grey" / "1.0.0").glob("*train*"))[-1]
    last.unlink()
    assert numbers(data.shared(0, 2).train()) == first
    with pytest.raises(tf.errors.NotFoundError):
        numbers(data.shared(1, 2).train())


@pytest.mark.parametrize("source", ["folder", "tfds"])
def test_the_cache_on_disk_gives_what_memory_gives(
    folder, data_dir, monkeypatch, source
):
    if source == "folder":
        both = [of_folder(folder, monkeypatch, c) for c in ("memory", "disk")]
    else:
        options = {"data_dir": data_dir, "cache_dir": data_dir / "pixels"}
        options |= {"batch_size": BATCH, "normalization": "unit"}
        both = [load("grey", cache=c, **options) for c in ("memory", "disk")]
    for split in (
        lambda data: data.train(0, 2),
        lambda data: data.validation,
        lambda data: data.test,
    ):
        for one, other in zip(*map(split, both), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


def test_the_cache_is_used_again_until_its_source_changes(folder, monkeypatch):
    of_folder(folder, monkeypatch, "disk")
    files = set((folder.parent / "cache" / "rrelu_tf").iterdir())
    times = {file: file.stat().st_mtime_ns for file in files}
    assert len(files) == 2  # of train and of test
    of_folder(folder, monkeypatch, "disk")
    assert {file: file.stat().st_mtime_ns for file in files} == times
    changed = tf.io.encode_png(tf.fill((5, 4, 3), tf.constant(255, tf.uint8)))
    (folder / "test" / "class0" / "40.png").write_bytes(changed.numpy())
    data = of_folder(folder, monkeypatch, "disk")
    assert 255 in sum(numbers(data.test), [])
    assert len(list((folder.parent / "cache" / "rrelu_tf").iterdir())) == 3


def test_a_folder_for_the_cache_that_cannot_be_made_is_named(folder):
    with pytest.raises(UserError, match="cache_dir must be .* Received: ca"):
        load(folder, cache="disk", cache_dir=folder / "train/class0/00.png/x")


def test_a_worker_of_two_devices_gives_them_turns():
    data = load("digits", batch_size=12, augmentation="none")
    turns = feeding.by_turns(data, lambda part: part.test, range(2, 4), 4)
    third, fourth = (data.shared(index, 4).test for index in (2, 3))
    expected = [x for pair in zip(third, fourth, strict=True) for x in pair]
    for given, wanted in zip(turns, expected, strict=True):
        np.testing.assert_array_equal(given[1], wanted[1])
        np.testing.assert_array_equal(given[0], wanted[0])


@pytest.mark.parametrize(("size", "count"), [(10, 1), (10, 3), (2, 3), (0, 2)])
def test_shares_do_not_overlap_and_differ_by_one_at_most(size, count):
    parts = [range(size)[Share(i, count).of(size)] for i in range(count)]
    assert [x for part in parts for x in part] == list(range(size))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_what_does_not_divide_is_refused():
    with pytest.raises(UserError, match="Received: index=2, count=2"):
        Share(2, 2)
    # 359 test images: fewer than a batch, and no multiple of 2.
    with pytest.raises(UserError, match="divide.* batch_size=512"):
        load("digits", batch_size=512).shared(0, 2)
    # 1,294 images: the last batch of 8 has 6.
    with pytest.raises(UserError, match="of every batch.* batch_size=8"):
        load("digits", batch_size=8).shared(0, 8)


@pytest.mark.parametrize(
    ("count", "size", "fits"),
    [(1, 17, True), (2, 16, True), (2, 17, False), (2, 18, True)]
    + [(4, 23, True), (4, 22, False), (4, 3, False)],
)
def test_a_batch_that_leaves_a_replica_empty_is_refused(count, size, fits):
    if fits:
        check_batches(count, 8, train=size)
        assert all(
            len(rows)
            for index in range(count)
            for rows in Share(index, count).rows(size, 8)
        )
        return
    with pytest.raises(UserError, match=f"{size} examples of train .* Rec"):
        check_batches(count, 8, train=size)


@pytest.mark.parametrize(("batch_size", "size"), [(8, 7), (7, 16), (512, 359)])
def test_a_first_batch_of_unequal_shares_is_refused(batch_size, size):
    with pytest.raises(UserError, match=f"{size} examples of test .* Received"):
        check_batches(2, batch_size, test=size)
    check_batches(1, batch_size, test=size)
