"""TFDS's prepared files, read one by one: streams, and what is damaged."""

import contextlib

import numpy as np
import tensorflow as tf
from absl import logging

from rrelu_tf.data import randomness
from rrelu_tf.data.stream import StreamSplit
from rrelu_tf.errors import UserError

# Files read side by side in a shuffled epoch.
_CYCLE = 16
# Records shuffled as one window: about half a gigabyte of ImageNet.
_WINDOW = 4096


def stream(builder, split):
    """The split as a `StreamSplit`; reads every record once, for its label.

    Raises:
        UserError: when a file is damaged or not a TFRecord file.
    """
    info = builder.info.splits[split]
    if not _is_tfrecord(builder):
        raise UserError(
            "a data set that is streamed must be prepared as TFRecord files. "
            f"Received: file_format={builder.info.file_format.value}"
        )
    with naming_damage(builder, split):
        labels = _labels(builder, info)
    return StreamSplit(labels, _reader(builder, info, len(labels)))


@contextlib.contextmanager
def naming_damage(builder, split):
    """Turns a read error into a `UserError` that names the damaged file."""
    try:
        yield
    except tf.errors.OpError as error:
        path, reason = builder.data_path, "a file is damaged"
        if _is_tfrecord(builder):
            path, reason = _damage(builder.info.splits[split]) or (path, reason)
        raise UserError(
            f"every file of {builder.name} must be complete and readable; in "
            f"the split {split}, {reason}. Received: file={path}"
        ) from error


@contextlib.contextmanager
def quiet():
    """TFDS logs what it finds odd; the errors here say what matters."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _is_tfrecord(builder):
    return builder.info.file_format.name == "TFRECORD"


def _damage(info):
    """The first damaged file and what is wrong with it, or None."""
    for path, count in zip(info.filepaths, info.shard_lengths, strict=True):
        records = tf.data.TFRecordDataset(str(path))
        found = 0
        try:
            for _ in records:
                found += 1
        except tf.errors.NotFoundError:
            return path, "one is missing"
        except tf.errors.OpError:
            return path, f"one is unreadable after record {found} of {count}"
        if found != count:
            return path, f"one holds {found} records of {count}"
    return None


def _features(builder, *names):
    """TFDS's own decoder, of these features alone."""
    import tensorflow_datasets as tfds

    with quiet():
        wanted = tfds.decode.PartialDecoding(dict.fromkeys(names, True))
        return wanted.extract_features(builder.info.features)


def _labels(builder, info):
    """Labels of the whole split, int32 [n], in file order; no decoding."""
    features = _features(builder, "label")
    paths = [str(path) for path in info.filepaths]
    labels = (
        tf.data.TFRecordDataset(paths)
        .map(
            lambda record: features.deserialize_example(record)["label"],
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(4096)
    )
    parts = [np.empty(0, np.int32), *labels.as_numpy_iterator()]
    found = np.concatenate(parts).astype(np.int32)
    if len(found) != info.num_examples:
        raise tf.errors.DataLossError(None, None, "records are missing")
    return found


def _reader(builder, info, size):
    """The function that a `StreamSplit` reads its examples with."""
    features = _features(builder, "image", "label")
    paths = tf.constant([str(path) for path in info.filepaths])
    starts = np.cumsum([0, *info.shard_lengths[:-1]], dtype=np.int64)

    def records(path, start):
        return tf.data.TFRecordDataset(path).enumerate(start)

    def example(position, record):
        decoded = features.deserialize_example(record)
        return position, decoded["image"], decoded["label"]

    def read(positions, seed=None):
        wanted = np.zeros(size, bool)
        wanted[positions] = True
        # A file of which nothing is wanted is not opened.
        opened = [
            number
            for number, part in enumerate(np.split(wanted, starts[1:]))
            if part.any()
        ]
        wanted, order = tf.constant(wanted), tf.constant(opened, tf.int64)
        if seed is not None:
            shuffled = randomness.permutation(len(opened), seed)
            order = tf.gather(order, shuffled)
        files = tf.data.Dataset.from_tensor_slices(
            (tf.gather(paths, order), tf.gather(starts, order))
        )
        chosen = files.interleave(
            records,
            cycle_length=1 if seed is None else _CYCLE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        ).filter(lambda position, _: tf.gather(wanted, position))
        if seed is not None:
            chosen = _shuffle(chosen, seed)
        return chosen.map(
            example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    return read


def _shuffle(records, seed):
    """Shuffles window by window, a pure function of the seed.

    `Dataset.shuffle` would mix in TensorFlow's global seed.
    """

    def window(number, batch):
        size = tf.shape(batch[0])[0]
        order = randomness.permutation(size, randomness.fold(seed, number))
        return tuple(tf.gather(part, order) for part in batch)

    windows = records.batch(_WINDOW).enumerate(1)
    return windows.map(window).unbatch()
