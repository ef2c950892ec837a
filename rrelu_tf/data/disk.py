"""A split whose decoded images lie in one file, each where it can be found."""

import hashlib
import math
import os
import pathlib

import numpy as np
import tensorflow as tf

from rrelu_tf import atomic
from rrelu_tf.data import randomness
from rrelu_tf.data.stream import StreamSplit
from rrelu_tf.errors import UserError


def cached(split, shape, folder, files):
    """The split, decoded once for this run and all that come after.

    An epoch reads its images in the order of `MemorySplit`, without the memory.
    A file is made anew when its source has changed.

    Args:
        split: a `StreamSplit`.
        shape: (height, width, channels) of its images.
        folder: where the files of decoded images are kept; made if need be.
        files: paths of what the split is read from.

    Returns:
        A `StreamSplit`.

    Raises:
        UserError: if the folder cannot be written, or the disk is full.
    """
    folder = pathlib.Path(folder).expanduser()
    path = folder / f"{_digest(files, shape)}.pixels"
    size = math.prod(shape)
    count = len(split.labels)
    if not (path.is_file() and path.stat().st_size == count * size):
        _write(path, split, count)
    return StreamSplit(split.labels, _reader(path, split, shape), direct=True)


def default_folder():
    """`rrelu_tf` in the user's folder for caches."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(home).expanduser() / "rrelu_tf"


def _digest(files, shape):
    """Changes with every file's place, size and time, and what was decoded."""
    found = hashlib.sha256(repr(tuple(shape)).encode())
    for file in files:
        state = os.stat(file)
        line = f"{os.path.abspath(file)} {state.st_size} {state.st_mtime_ns}\n"
        found.update(line.encode())
    return found.hexdigest()[:32]


def _write(path, split, count):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cache_dir must be a folder that can be made, but: "
            f"{error.strerror}. Received: cache_dir={path.parent}"
        ) from error
    images = split.read(np.arange(count)).as_numpy_iterator()
    with atomic.path(path) as temporary, open(temporary, "wb") as file:
        for _, image, _ in images:
            file.write(image.tobytes())


def _reader(path, split, shape):
    """The function that a `StreamSplit` reads its examples with."""
    size = math.prod(shape)
    last = len(split.labels) - 1
    labels = tf.constant(split.labels)

    def example(position):
        record = tf.data.FixedLengthRecordDataset(
            str(path),
            size,
            header_bytes=position * size,
            footer_bytes=(last - position) * size,
            buffer_size=size,
        ).get_single_element()
        image = tf.reshape(tf.io.decode_raw(record, tf.uint8), shape)
        return position, image, tf.gather(labels, position)

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

    return read
