"""A split whose decoded images are held in memory."""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from rrelu_tf.data import randomness
from rrelu_tf.data.share import WHOLE

# Decoded pixels of a whole data set up to which "auto" takes memory.
LIMIT_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class MemorySplit:
    """Decoded images and labels, by position.

    An epoch gathers each batch with a few vectorised ops: no per-image work
    in Python or in the pipeline's iterators.

    Attributes:
        images: uint8 [n, height, width, channels].
        labels: int32 [n].
    """

    images: np.ndarray
    labels: np.ndarray

    def training(
        self,
        positions,
        transform,
        *,
        batch_size,
        seed,
        epochs,
        share=WHOLE,
    ):
        """Shuffled and augmented batches, epoch after epoch.

        Args:
            positions: int64 [m], the examples that take part.
            transform: `(images, draws) -> float32 images`, with `.draws`.
            batch_size: examples per batch; an epoch's last may be smaller.
            seed: int; with the epoch's number it decides everything.
            epochs: range of the epochs' numbers.
            share: `Share` of each batch that is made.

        Returns:
            A `tf.data.Dataset` of (images, labels).
        """
        steps = math.ceil(len(positions) / batch_size)
        positions = tf.constant(positions, tf.int64)
        images, labels = self._tensors

        def epoch_batches(epoch):
            order_seed, draw_seed = randomness.epoch_seeds(seed, epoch)
            shuffled = randomness.permutation(tf.size(positions), order_seed)
            order = tf.gather(positions, shuffled)
            shape = [len(self.labels), transform.draws]
            draws = randomness.draws(shape, draw_seed)

            def batch(step):
                rows = _rows(order, step, batch_size, share)
                batch_draws = tf.gather(draws, rows)
                inputs = transform(tf.gather(images, rows), batch_draws)
                return inputs, tf.gather(labels, rows)

            return _parallel(tf.data.Dataset.range(steps), batch)

        numbers = tf.data.Dataset.range(epochs.start, epochs.stop)
        return numbers.flat_map(epoch_batches)

    def evaluation(self, positions, preprocessing, *, batch_size, share=WHOLE):
        """Batches (images, labels) in the order of `positions`, unaugmented."""
        positions = tf.constant(positions, tf.int64)
        images, labels = self._tensors

        def batch(step):
            rows = _rows(positions, step, batch_size, share)
            inputs = preprocessing.apply(tf.gather(images, rows))
            return inputs, tf.gather(labels, rows)

        steps = math.ceil(len(positions) / batch_size)
        return _parallel(tf.data.Dataset.range(steps), batch)

    def mean_and_std(self, positions):
        """Per channel, for pixels scaled to 0..1, over these positions."""
        levels = np.arange(256) / 255
        means, stds = [], []
        for channel in range(self.images.shape[-1]):
            counts = np.zeros(256, np.int64)
            for rows in np.array_split(positions, len(positions) // 4096 + 1):
                pixels = self.images[rows, ..., channel].ravel()
                counts += np.bincount(pixels, minlength=256)
            weights = counts / counts.sum()
            mean = float(weights @ levels)
            means.append(mean)
            stds.append(math.sqrt(float(weights @ (levels - mean) ** 2)))
        return tuple(means), tuple(stds)

    @functools.cached_property
    def _tensors(self):
        with tf.init_scope(), tf.device("CPU"):
            return tf.constant(self.images), tf.constant(self.labels)


def _rows(order, step, batch_size, share):
    """The share of one batch of positions."""
    rows = order[step * batch_size : (step + 1) * batch_size]
    return rows[share.of(tf.size(rows))]


def _parallel(steps, function):
    return steps.map(
        function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
