"""Saves each epoch: first the checkpoint, then the table made from it."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints, metrics_table


class Saving(keras.callbacks.Callback):
    """Writes a checkpoint and `metrics.csv` after each epoch.

    Args:
        run: the `run_folder.Run` that is trained.
        history: list of rows of the epochs done so far; grows in place.
        step: 1 or 2 in two-step training, noted in the rows; else None.
    """

    def __init__(self, run, history, step=None):
        super().__init__()
        self.run = run
        self.history = history
        self.step = step

    def on_epoch_end(self, epoch, logs=None):
        """Saves the epoch; raises `UserError` rather than save a NaN."""
        row = {"epoch": epoch + 1}
        for column in metrics_table.COLUMNS[1:]:
            row[column] = logs.get(column)
        if self.step is not None:
            row["step"] = self.step
        self.history.append(row)
        self.save()

    def save(self):
        """Saves the model as it is, as the end of `history`'s last epoch."""
        checkpoint = checkpoints.capture(self.model, self.history)
        if not checkpoint.is_finite():
            raise UserError(
                "weights and optimizer state must stay finite, but they did "
                f"not in epoch {checkpoint.epoch}; the checkpoint of epoch "
                f"{checkpoint.epoch - 1} is kept (try a lower "
                "--learning_rate). Received: weights=not finite"
            )
        checkpoints.write(self.run.checkpoints, checkpoint)
        metrics_table.write(self.run.metrics, self.history)
