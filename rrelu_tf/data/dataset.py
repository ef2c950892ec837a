"""What `load` returns: the three parts of a data set, ready to train on."""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from rrelu_tf.data.augmentation import TrainingTransform
from rrelu_tf.data.preprocessing import Preprocessing
from rrelu_tf.data.share import WHOLE, Share, check_batches
from rrelu_tf.data.sources.source import Source
from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A data set, split, with its augmentation and preprocessing.

    Attributes:
        name: of the data set.
        class_names: list of str, by label.
        preprocessing: the `Preprocessing` of evaluation and serving.
        transform: the `TrainingTransform`: augmentation, then normalisation.
        batch_size: examples per batch, over all replicas.
        seed: int that, with the epoch, decides order and augmentation.
        source: where the examples come from.
        training_positions: int64 [train_size], into the source's train split.
        validation_positions: int64 [validation_size], into the same split.
        share: of each batch, what one of several replicas is given.
    """

    name: str
    class_names: list[str]
    preprocessing: Preprocessing
    transform: TrainingTransform
    batch_size: int
    seed: int
    source: Source = dataclasses.field(repr=False)
    training_positions: np.ndarray = dataclasses.field(repr=False)
    validation_positions: np.ndarray = dataclasses.field(repr=False)
    share: Share = WHOLE

    @property
    def num_classes(self):
        """How many classes there are."""
        return len(self.class_names)

    @property
    def image_shape(self):
        """(height, width, channels) of a network input, in pixels."""
        return self.preprocessing.image_shape

    @property
    def train_size(self):
        """Training examples, without those held out for validation."""
        return len(self.training_positions)

    @property
    def validation_size(self):
        """Examples held out of the train split; 0 when there are none."""
        return len(self.validation_positions)

    @property
    def test_size(self):
        """Test examples."""
        return len(self.source.test.labels)

    @property
    def steps_per_epoch(self):
        """Batches per epoch; the last one may be partial."""
        return math.ceil(self.train_size / self.batch_size)

    @property
    def description(self):
        """One line: name, source, version and sizes."""
        height, width, channels = self.image_shape
        return (
            f"{self.name} ({self.source.origin}): "
            f"{self.train_size:,} training, {self.validation_size:,} "
            f"validation and {self.test_size:,} test images, "
            f"{height}x{width}x{channels}, {self.num_classes} classes"
        )

    def check_shares(self, count):
        """Refuses a number of replicas that do not all get examples.

        Args:
            count: int.

        Raises:
            UserError: if one would get none of some batch, or less of a first
                batch than another.
        """
        check_batches(
            *(count, self.batch_size),
            train=self.train_size,
            validation=self.validation_size,
            test=self.test_size,
        )

    def shared(self, index, count):
        """The same data, as one of `count` replicas reads them.

        Its batches are a share of `batch_size`; those of all replicas are
        the whole, in every epoch each example once. Where examples can be
        read in any order (memory, the cache on disk, image folders) they are
        the whole's, batch for batch; TFDS's files are divided among the
        replicas, each of which shuffles its own part.

        Args:
            index: of the replica, from 0.
            count: how many there are.

        Returns:
            A `Data` of the same sizes.

        Raises:
            UserError: as of `check_shares`.
        """
        self.check_shares(count)
        return dataclasses.replace(self, share=Share(index, count))

    def train(self, first_epoch=0, epochs=1):
        """Training batches of the epochs `first_epoch` to `epochs - 1`.

        Epoch e is a pure function of (seed, e), so that a `fit` that goes on
        from epoch k over `train(k, n)` sees precisely what an uninterrupted
        one sees from there.

        Args:
            first_epoch: number of the first epoch, from 0.
            epochs: number after the last epoch, as in Keras's `fit`.

        Returns:
            A `tf.data.Dataset` of (float32 [b, *image_shape], int32 [b]),
            `steps_per_epoch` batches per epoch, each example exactly once in
            an epoch, an epoch's last batch partial where need be.

        Raises:
            UserError: unless 0 <= first_epoch <= epochs.
        """
        if not 0 <= first_epoch <= epochs:
            raise UserError(
                "first_epoch must lie between 0 and epochs. "
                f"Received: first_epoch={first_epoch}, epochs={epochs}"
            )
        batches = self.source.train.training(
            self.training_positions,
            self.transform,
            batch_size=self.batch_size,
            seed=self.seed,
            epochs=range(first_epoch, epochs),
            share=self.share,
        )
        steps = (epochs - first_epoch) * self.steps_per_epoch
        return self._finish(batches, steps)

    def unaugmented(self, most, batch_size=None):
        """Training batches in fixed order, without augmentation.

        All of them, whatever the share. Examples that come class after class,
        as a folder's do, are mixed, always in the same way, so that a batch is
        of all classes. (TFDS mixes as it prepares its files, which are read
        from their beginning.)

        Args:
            most: int; of more examples so many, evenly spaced, are taken.
            batch_size: examples a batch; None: as in training.

        Returns:
            A `tf.data.Dataset` of (float32 [b, *image_shape], int32 [b]).
        """
        count = min(most, self.train_size)
        places = np.arange(count) * self.train_size // count
        positions = self.training_positions[places]
        labels = self.source.train.labels[self.training_positions]
        if np.count_nonzero(np.diff(labels)) < self.num_classes:
            # RandomState's stream is frozen for good.
            positions = np.random.RandomState(0).permutation(positions)
        return self._evaluate(self.source.train, positions, WHOLE, batch_size)

    @property
    def validation(self):
        """Validation batches in fixed order, or None without validation."""
        if not self.validation_size:
            return None
        return self._evaluate(
            self.source.train, self.validation_positions, self.share
        )

    @property
    def test(self):
        """Test batches in fixed order; the same for every seed."""
        positions = np.arange(self.test_size)
        return self._evaluate(self.source.test, positions, self.share)

    def _evaluate(self, split, positions, share, batch_size=None):
        batch_size = batch_size or self.batch_size
        batches = split.evaluation(
            positions, self.preprocessing, batch_size=batch_size, share=share
        )
        return self._finish(batches, math.ceil(len(positions) / batch_size))

    def _finish(self, batches, steps):
        def shaped(images: Any, labels: Any):
            images = tf.ensure_shape(images, [None, *self.image_shape])
            return images, tf.ensure_shape(labels, [None])

        batches = batches.map(shaped).apply(
            tf.data.experimental.assert_cardinality(steps)
        )
        options = tf.data.Options()
        options.deterministic = True
        return batches.prefetch(tf.data.AUTOTUNE).with_options(options)
