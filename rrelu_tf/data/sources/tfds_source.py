"""TensorFlow Datasets: any data set with the features image and label."""

import numpy as np

from rrelu_tf.data import recipes
from rrelu_tf.data.memory import LIMIT_BYTES, MemorySplit
from rrelu_tf.data.sources import tfrecords
from rrelu_tf.data.sources.source import Source
from rrelu_tf.data.sources.tfds_builder import prepared
from rrelu_tf.errors import UserError

_JPEG = b"\xff\xd8"


def load(name, data_dir, download, image_size, cache):
    """The data set as a `Source`, read from TFDS's prepared files.

    Args:
        name: TFDS name, with `/config` where there are several.
        data_dir: TFDS's directory; None for its default.
        download: whether to download and prepare what is missing.
        image_size: as in `rrelu_tf.data.load`; only checked here.
        cache: the `Cache`.

    Raises:
        UserError: for an unknown name, a directory without the data set,
            damaged files, features other than image and label, or labels out
            of range.
    """
    builder = prepared(name, data_dir, download)
    shape, class_names = _features(builder, name)
    if None in shape and image_size is None:
        raise UserError(
            f"the images of {name} differ in size and need an image_size, "
            f"such as 224. Received: image_size={image_size}"
        )
    train, test = _split_names(builder, name)
    if _in_memory(builder, (train, test), shape, cache):
        splits = [_decode(builder, split, shape) for split in (train, test)]
    else:
        splits = [_stream(builder, s, shape, cache) for s in (train, test)]
    for split, part in zip((train, test), splits, strict=True):
        _check_labels(part.labels, len(class_names), name, split)
    return Source(
        name=builder.name,
        class_names=class_names,
        image_shape=shape,
        train=splits[0],
        test=splits[1],
        origin=_origin(builder, test),
        recipe=recipes.recipe(builder.name),
    )


def _features(builder, name):
    """Image shape and class names; an error where there are no such."""
    features = dict(builder.info.features.items())
    image, label = features.get("image"), features.get("label")
    if (
        image is None
        or len(image.shape or ()) != 3
        or image.np_dtype != np.uint8
        or not getattr(label, "names", None)
    ):
        raise UserError(
            "a TFDS data set must have the features image (uint8, height x "
            "width x channels) and label (a class); it has "
            f"{', '.join(features)}. Received: dataset={name}"
        )
    return tuple(image.shape), list(label.names)


def _split_names(builder, name):
    """Names of the train split and of the one to test on."""
    splits = builder.info.splits
    chosen = recipes.recipe(builder.name).test_split
    wanted = (chosen,) if chosen else ("test", "validation")
    test = next((split for split in wanted if split in splits), None)
    if "train" not in splits or test is None:
        raise UserError(
            f"a TFDS data set must have the splits train and "
            f"{' or '.join(wanted)}; it has {', '.join(splits)}. "
            f"Received: dataset={name}"
        )
    return "train", test


def _in_memory(builder, splits, shape, cache):
    cache.check(builder.name, shape)
    if cache.kind != "auto":
        return cache.kind == "memory"
    if None in shape or recipes.recipe(builder.name).streamed:
        return False
    count = sum(builder.info.splits[split].num_examples for split in splits)
    return count * int(np.prod(shape)) <= LIMIT_BYTES


def _stream(builder, split, shape, cache):
    found = tfrecords.stream(builder, split)
    with tfrecords.naming_damage(builder, split):
        return cache.keep(found, shape, builder.info.splits[split].filepaths)


def _decode(builder, split, shape):
    """Decodes a whole split into memory, once."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    count = builder.info.splits[split].num_examples
    images = np.empty((count, *shape), np.uint8)
    labels = np.empty(count, np.int32)
    with tfrecords.naming_damage(builder, split), tfrecords.quiet():
        batches = builder.as_dataset(
            split=split,
            batch_size=1024,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(
                {"image": True, "label": True}
            ),
            read_config=tfds.ReadConfig(
                try_autocache=False, assert_cardinality=False
            ),
        )
        end = 0
        for batch in batches:
            begin, end = end, end + len(batch["label"])
            if end > count:
                break
            images[begin:end] = batch["image"]
            labels[begin:end] = batch["label"]
        if end != count:
            raise tf.errors.DataLossError(None, None, "not the promised number")
    return MemorySplit(images, labels)


def _check_labels(labels, classes, name, split):
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise UserError(
            f"labels must lie in 0..{classes - 1}; in the split {split} of "
            f"{name}, example {wrong[0]} does not. "
            f"Received: label={labels[wrong[0]]}"
        )


def _origin(builder, test):
    """Name and version, and whether the pixels are JPEG's, not exact."""
    import tensorflow_datasets as tfds

    with tfrecords.quiet():
        raw = builder.as_dataset(
            split="train[:1]", decoders={"image": tfds.decode.SkipDecoding()}
        )
    encoded = next(raw.as_numpy_iterator())["image"]
    lossy = ", stored as JPEG" if encoded.startswith(_JPEG) else ""
    return f"TFDS {builder.info.full_name}{lossy}, tested on its {test} split"
