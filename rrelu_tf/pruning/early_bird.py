"""Early-bird tickets: the mask that pruning would draw settles early."""

import pathlib

import keras

from rrelu_tf.analysis.profile import profile
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.mask_history import MaskHistory
from rrelu_tf.pruning.selection import select
from rrelu_tf.scoring import methods, score
from rrelu_tf.strip import keras_2

# A backward pass costs two forward ones: by the inputs, and by the weights.
_FORWARD_PASSES = 3


class EarlyBird(keras.callbacks.Callback):
    """Finds the epoch from which on training hardly changes the mask.

    After each epoch the channels are scored, and the mask is taken that
    `rrelu_tf.select` draws at `sparsity`. The ticket is drawn at the first
    epoch whose mask differs from each of the `queue - 1` before it in less
    than the share `distance` of all channels: not before epoch `queue`. Prune
    then, and train the small net: `rrelu_tf.mask(model, early_bird.mask)`.

    Sources: You et al. (2020), "Drawing Early-Bird Tickets: Towards More
    Efficient Training of Deep Networks", with "bn" as score, and their code
    for the queue; the OrthoReg authors' code (arXiv 2009.05014), which has no
    such test and draws after 25 epochs: `at=25`.

    Puts `early_bird_distance`, the largest of the distances, into the epoch's
    logs (from the second epoch on): into `fit`'s history, and what stands
    behind it in the list of callbacks, as `keras.callbacks.TensorBoard`, shows
    it. With `backup`, training that is resumed from any epoch (as by
    `keras.callbacks.BackupAndRestore`) draws what uninterrupted training does.

    Args:
        score: a method of `rrelu_tf.score`.
        sparsity: in (0, 1), the share of the channels that would go.
        data: as of `rrelu_tf.score`, for scores by gradients; pass training
            data in fixed order, without augmentation.
        samples: as of `rrelu_tf.score`.
        at: None, or the epoch, from 1, after which the ticket is drawn: the
            only one that is scored.
        queue: masks that are compared, 2 or more.
        distance: in (0, 1], see above.
        stop: whether training stops where the ticket is drawn.
        examples: training examples an epoch; without it no FLOPs are told.
        backup: path of a JSON file for the masks, written after each epoch;
            None for none. Put this callback before the one that saves the
            model.
        protocol: as of `rrelu_tf.score` and `rrelu_tf.select`.
        **options: further ones of `rrelu_tf.select`: `scope`, `align`, ...

    Raises:
        UserError: an argument that breaks its rule; a model of tf_keras; where
            training begins, one that cannot be scored or pruned so.
    """

    def __init__(
        self,
        score="bn",
        *,
        sparsity,
        data=None,
        samples=10_000,
        at=None,
        queue=5,
        distance=0.1,
        stop=False,
        examples=None,
        backup=None,
        protocol=None,
        **options,
    ):
        super().__init__()
        _check(score, sparsity, at, queue, distance)
        self.score = score
        self.sparsity = sparsity
        self.data = data
        self.samples = samples
        self.at = at
        self.queue = queue
        self.limit = distance
        self.stop = stop
        self.examples = examples
        self.backup = None if backup is None else pathlib.Path(backup)
        self.protocol = protocol
        self.options = options
        self._history = MaskHistory()
        self._resumed = False

    @property
    def epoch(self):
        """The epoch, from 1, at which the ticket was drawn; None before."""
        if self.at is not None:
            return self.at if self.at in self._history.epochs else None
        return self._history.settled(self.queue, self.limit)

    @property
    def mask(self):
        """The ticket, dict: layer -> bool (channels,); None before."""
        return None if self.epoch is None else self._history.mask(self.epoch)

    @property
    def distances(self):
        """dict: epoch -> largest distance in its queue; None in the first."""
        return {
            epoch: self._history.distance(epoch, self.queue)
            for epoch in self._history.epochs
        }

    def summary(self):
        """What was found, as a dict of plain values.

        `training_flops` are those of the planned epochs of `fit`, at 3 forward
        passes (a backward pass as two) of 2 x MACs an example, scoring and
        validation not counted; `training_flops_saved` what the epochs after
        the draw would have cost. The small net's own training is not in it.
        """
        planned = self.params["epochs"]
        found = {
            "score": self.score,
            "sparsity": self.sparsity,
            "rule": self._rule,
            "epoch": self.epoch,
            "planned_epochs": planned,
            "distances": [*self.distances.values()],
        }
        if self.examples is not None:
            one = _FORWARD_PASSES * profile(self.model).flops * self.examples
            left = 0 if self.epoch is None else planned - self.epoch
            found["training_flops"] = one * planned
            found["training_flops_saved"] = one * left
        return found

    def resume(self, epoch):
        """Takes the masks up to an epoch, from 1, out of the backup.

        `fit` calls it before its first epoch.

        Returns:
            List of the epochs that have a mask.

        Raises:
            UserError: a backup of other masks, or an unreadable one.
        """
        if self.backup is not None:
            self._history.read(self.backup, **self._notes)
        self._history.forget_after(epoch)
        self._resumed = True
        return self._history.epochs

    def draws_after(self, epoch):
        """Whether a mask is drawn after an epoch, from 1."""
        return self.at in (None, epoch)

    def set_model(self, model):
        """Takes the model, if it is of Keras 3."""
        keras_2.refuse(model, "train that one")
        super().set_model(model)

    def on_train_begin(self, logs=None):
        """Tries the score and the selection, on all that they will see."""
        self._draw()

    def on_epoch_begin(self, epoch, logs=None):
        """Takes up the masks of the epochs before, when training begins."""
        if not self._resumed:
            self.resume(epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Draws the epoch's mask and compares it."""
        if not self.draws_after(epoch + 1):
            return
        self._history.put(epoch + 1, self._draw())
        if self.backup is not None:
            self._history.write(self.backup, **self._notes)
        apart = self._history.distance(epoch + 1, self.queue)
        if apart is not None and logs is not None:
            logs["early_bird_distance"] = apart
        if self.stop and self.epoch == epoch + 1:
            self.model.stop_training = True

    @property
    def _rule(self):
        if self.at is not None:
            return f"after epoch {self.at}"
        return f"{self.queue} masks less than {self.limit:g} apart"

    @property
    def _notes(self):
        names = ("score", "sparsity", "samples", "protocol")
        notes = {name: getattr(self, name) for name in names}
        return notes | {"selection": self.options}

    def _draw(self):
        scores = score(
            self.model, self.score, self.data, self.samples, self.protocol
        )
        return select(
            scores,
            sparsity=self.sparsity,
            model=self.model,
            protocol=self.protocol,
            **self.options,
        )


def _check(score, sparsity, at, queue, distance):
    rules = {
        "score": (score, score in methods(), f"one of {', '.join(methods())}"),
        "sparsity": (sparsity, 0 < sparsity < 1, "above 0 and below 1"),
        "at": (at, at is None or at >= 1, "an epoch, at least 1"),
        "queue": (queue, queue >= 2, "at least 2 masks"),
        "distance": (distance, 0 < distance <= 1, "above 0, at most 1"),
    }
    for name, (value, holds, rule) in rules.items():
        if not holds:
            raise UserError(f"{name} must be {rule}. Received: {name}={value}")
