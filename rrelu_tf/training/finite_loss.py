"""Stops training at the first step whose loss is NaN or infinite."""

import math

import keras

from rrelu_tf.errors import UserError


class FiniteLoss(keras.callbacks.Callback):
    """Raises `UserError`, naming epoch and step, once the loss is not finite.

    Keras's running mean of an epoch turns NaN at the first NaN and stays so:
    the logs of each batch, which Keras has computed anyway, show the step.
    """

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch, for the message."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Raises if the loss is NaN or infinite."""
        loss = logs["loss"]
        if not math.isfinite(loss):
            together = self.model.steps_per_execution
            first = f"{batch + 2 - together} to " if together > 1 else ""
            raise UserError(
                "the loss must stay finite, but it did not at epoch "
                f"{self._epoch + 1}, step {first}{batch + 1}; the checkpoint "
                f"of epoch {self._epoch} is kept (try a lower "
                f"--learning_rate or --warmup_epochs). Received: loss={loss}"
            )
