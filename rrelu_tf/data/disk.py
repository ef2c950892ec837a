"""A split whose decoded images lie in one file, mapped into memory."""

import dataclasses
import functools
import hashlib
import os
import pathlib

import numpy as np
import tensorflow as tf

from rrelu_tf import atomic
from rrelu_tf.data.memory import MemorySplit

_READ = 256  # images that are decoded and written at a time


@dataclasses.dataclass(frozen=True)
class DiskSplit(MemorySplit):
    """A `MemorySplit` whose pages the system fetches, and drops, as need be.

    It gives the same batches, bit for bit.

    Attributes:
        path: of the file, uint8 [n, height, width, channels]; `images` is a
            `numpy.memmap` of it.
    """

    path: pathlib.Path

    @functools.cached_property
    def _tensors(self):
        with tf.init_scope(), tf.device("CPU"):
            images = tf.raw_ops.ImmutableConst(
                dtype=tf.uint8,
                shape=self.images.shape,
                memory_region_name=str(self.path),
            )
            return images, tf.constant(self.labels)


def cached(split, shape, folder, files):
    """The split, decoded once for this run and all that come after.

    The file is made anew when its source has changed.

    Args:
        split: a `StreamSplit`.
        shape: (height, width, channels) of its images.
        folder: where the files of decoded images are kept; made if need be.
        files: paths of what the split is read from.

    Returns:
        A `DiskSplit`.

    Raises:
        UserError: if the folder cannot be written, or the disk is full.
    """
    folder = pathlib.Path(folder).expanduser().absolute()
    path = folder / f"{_digest(files, shape)}.pixels"
    everything = (len(split.labels), *shape)
    size = int(np.prod(everything))
    if not (path.is_file() and path.stat().st_size == size):
        _write(path, split)
    images = np.memmap(path, np.uint8, mode="r", shape=everything)
    return DiskSplit(images, split.labels, path)


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


def _write(path, split):
    atomic.make_folder(path.parent, "cache_dir")
    examples = split.read(np.arange(len(split.labels)))
    batches = examples.batch(_READ).as_numpy_iterator()
    with atomic.path(path) as temporary, open(temporary, "wb") as file:
        for _, images, _ in batches:
            file.write(images.tobytes())
