"""A split that is read and decoded again in every epoch."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from rrelu_tf.data import randomness
from rrelu_tf.data.share import WHOLE

# "standard" normalisation measures at most this many training images.
_MEASURED = 10_000


@dataclasses.dataclass(frozen=True)
class StreamSplit:
    """Examples that stay in their files, by position.

    Attributes:
        labels: int32 [n].
        read: `read(positions, seed=None)`, a `tf.data.Dataset` of (position,
            uint8 image [height, width, channels], label) of these positions;
            in ascending order without a seed, shuffled as a pure function of
            it with one (int32 [2]).
        direct: whether any example can be read at any time; `read` then takes
            `places`, too: which of that order to read. Otherwise files are
            read from their beginning, and a share of each batch would cost
            reading all of them: it is the examples of a part of the files.
    """

    labels: np.ndarray
    read: Callable
    direct: bool = False

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
        """Shuffled and augmented batches, as `MemorySplit.training`."""

        def epoch_batches(epoch):
            order_seed, draw_seed = randomness.epoch_seeds(seed, epoch)

            def augment(position, image, label):
                example_seed = randomness.fold(draw_seed, position)
                draws = randomness.draws([1, transform.draws], example_seed)
                inputs = transform(image[None], draws)
                return inputs[0], tf.cast(label, tf.int32)

            examples = self._read(positions, share, batch_size, order_seed)
            batches = _parallel(examples, augment)
            return batches.batch(batch_size // share.count)

        numbers = tf.data.Dataset.range(epochs.start, epochs.stop)
        return numbers.flat_map(epoch_batches)

    def evaluation(self, positions, preprocessing, *, batch_size, share=WHOLE):
        """Batches in the order of `positions`, as `MemorySplit.evaluation`."""

        def prepare(_, image, label):
            inputs = preprocessing.apply(image[None])
            return inputs[0], tf.cast(label, tf.int32)

        examples = self._read(positions, share, batch_size)
        return _parallel(examples, prepare).batch(batch_size // share.count)

    def _read(self, positions, share, batch_size, seed=None):
        if share == WHOLE:
            return self.read(positions, seed)
        if self.direct:
            places = share.rows(len(positions), batch_size)
            return self.read(positions, seed, np.concatenate(places))
        return self.read(positions[share.of(len(positions))], seed)

    def mean_and_std(self, positions):
        """Per channel, for pixels scaled to 0..1.

        Over at most 10,000 of the positions, evenly spaced: decoding a large
        data set only to measure it would cost an epoch.
        """
        step = math.ceil(len(positions) / _MEASURED)
        count, total, squares = 0, 0.0, 0.0
        for _, image, _ in self.read(positions[::step]).as_numpy_iterator():
            pixels = image.reshape(-1, image.shape[-1]) / 255
            count += len(pixels)
            total = total + pixels.sum(axis=0)
            squares = squares + (pixels**2).sum(axis=0)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return tuple(mean.tolist()), tuple(std.tolist())


def _parallel(examples, function):
    return examples.map(
        function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
