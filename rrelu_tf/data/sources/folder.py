"""Image folders: `train/` and `test/`, one subfolder of images per class."""

import os
import pathlib
import traceback

import numpy as np
import tensorflow as tf

from rrelu_tf import silence
from rrelu_tf.data import randomness, recipes
from rrelu_tf.data.memory import LIMIT_BYTES, MemorySplit
from rrelu_tf.data.sources.source import Source
from rrelu_tf.data.stream import StreamSplit
from rrelu_tf.errors import UserError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_CHANNELS = 3
_PARTS = ("train", "test")


def load(path, image_size, cache):
    """The folder as a `Source`; classes are the subfolders, sorted by name.

    PNG, JPEG, BMP and the first frame of GIF, all decoded to RGB. Every image
    is decoded once here, so that a broken one is found before training.

    Args:
        path: directory with `train/<class>/` and `test/<class>/`.
        image_size: as in `rrelu_tf.data.load`; only checked here.
        cache: the `Cache`.

    Raises:
        UserError: for missing folders or images, fewer than two classes,
            classes that differ between train and test, a broken image, or
            sizes that differ without an `image_size`.
    """
    root = pathlib.Path(path).expanduser()
    if not root.is_dir():
        raise UserError(
            f"an image folder must be a directory. Received: dataset={path}"
        )
    class_names = _class_names(root)
    listings = [_listing(root / part, class_names) for part in _PARTS]
    kept, shapes = _decode_all([*listings[0][0], *listings[1][0]], cache)
    _check_sizes(shapes, root, image_size, cache)
    shape = next(iter(shapes)) if len(shapes) == 1 else (None, None, _CHANNELS)
    if kept is None:
        splits = [
            cache.keep(_stream(paths, labels), shape, paths)
            for paths, labels in listings
        ]
    else:
        images = np.split(kept, [len(listings[0][0])])
        splits = [
            MemorySplit(part, labels)
            for part, (_, labels) in zip(images, listings, strict=True)
        ]
    return Source(
        name=root.resolve().name,
        class_names=class_names,
        image_shape=shape,
        train=splits[0],
        test=splits[1],
        origin="image folder",
        # Whatever it is called: its name says nothing of what is in it.
        recipe=recipes.OTHERS,
    )


def _class_names(root):
    names = []
    for part in _PARTS:
        if not (root / part).is_dir():
            raise UserError(
                "an image folder must hold the subfolders train and test; "
                f"{part} is missing. Received: dataset={root}"
            )
        names.append(
            sorted(
                entry.name
                for entry in (root / part).iterdir()
                if entry.is_dir() and not entry.name.startswith(".")
            )
        )
    train, test = names
    differing = sorted(set(train) ^ set(test))
    if differing:
        raise UserError(
            "train and test must hold the same class folders; only one has "
            f"{', '.join(differing[:5])}. Received: dataset={root}"
        )
    if len(train) < 2:
        raise UserError(
            "an image folder must hold at least two class folders in train; "
            f"it has {len(train)}. Received: dataset={root}"
        )
    return train


def _listing(part, class_names):
    """Sorted paths, list of str, and their labels, int32 [n]."""
    paths, labels = [], []
    for label, name in enumerate(class_names):
        found = sorted(
            os.fspath(entry)
            for entry in (part / name).iterdir()
            if entry.suffix.lower() in _SUFFIXES
            and not entry.name.startswith(".")
        )
        if not found:
            raise UserError(
                "every class folder must hold PNG, JPEG, BMP or GIF images; "
                f"one holds none. Received: folder={part / name}"
            )
        paths += found
        labels += [label] * len(found)
    return paths, np.array(labels, np.int32)


def _decode(path):
    image = tf.io.decode_image(
        tf.io.read_file(path), channels=_CHANNELS, expand_animations=False
    )
    return tf.ensure_shape(image, [None, None, _CHANNELS])


# TensorFlow logs what is wrong with an image before it raises it.
@silence.held_back()
def _decode_all(paths, cache):
    """Decodes each image once.

    Returns:
        uint8 [n, height, width, 3], or None where the sizes differ or memory
        is not to be taken; and the set of shapes met.
    """
    kept, shapes, size = [], set(), 0
    images = tf.data.Dataset.from_tensor_slices(paths).map(
        _decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    done = 0
    iterator = images.as_numpy_iterator()
    try:
        for image in iterator:
            done += 1
            shapes.add(image.shape)
            size += image.nbytes
            fits = cache.kind == "memory" or size <= LIMIT_BYTES
            if kept is not None and len(shapes) == 1 and fits:
                kept.append(image)
            else:
                kept = None
    except tf.errors.OpError as error:
        # Threads that still decode would log later than this. They end with
        # the iterator, which the traceback holds, too.
        traceback.clear_frames(error.__traceback__)
        del iterator
        raise UserError(
            "every image must be a complete PNG, JPEG, BMP or GIF file. "
            f"Received: file={paths[done]}"
        ) from error
    if kept is None or cache.kind in ("disk", "none"):
        return None, shapes
    return np.stack(kept), shapes


def _check_sizes(shapes, root, image_size, cache):
    if len(shapes) == 1:
        return
    if image_size is None:
        raise UserError(
            f"the images of {root} differ in size and need an image_size, "
            f"such as 224. Received: image_size={image_size}"
        )
    cache.check(root, (None, None, _CHANNELS))


def _stream(paths, labels):
    files, targets = tf.constant(paths), tf.constant(labels)

    def example(position):
        image = _decode(tf.gather(files, position))
        return position, image, tf.gather(targets, position)

    def read(positions, seed=None, places=None):
        positions = tf.constant(positions, tf.int64)
        if seed is not None:
            shuffled = randomness.permutation(tf.size(positions), seed)
            positions = tf.gather(positions, shuffled)
        if places is not None:
            positions = tf.gather(positions, places)
        return tf.data.Dataset.from_tensor_slices(positions).map(
            example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    return StreamSplit(labels, read, direct=True)
