"""What Keras does not measure in an epoch: time, learning rate, slopes."""

import time

import keras

from rrelu_tf.training import slopes


class Measuring(keras.callbacks.Callback):
    """Adds to an epoch's logs, for the callbacks after this one.

    `learning_rate` (of the epoch's last step), `seconds` (wall clock) and
    `cpu_seconds` (user and system, all threads), both with validation, and
    `slopes_alive` (how many slopes exceed `zeta` in absolute value).

    Args:
        schedule: the optimizer's `LearningRateSchedule`.
        zeta: float.
    """

    def __init__(self, schedule, zeta):
        super().__init__()
        self.schedule = schedule
        self.zeta = zeta

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clocks."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        """Adds the measurements to `logs`."""
        alive = slopes.alive(slopes.of(self.model), self.zeta)
        logs["learning_rate"] = self._learning_rate()
        logs["seconds"] = time.perf_counter() - self._wall
        logs["cpu_seconds"] = time.process_time() - self._cpu
        logs["slopes_alive"] = sum(alive.values())

    def _learning_rate(self):
        optimizer = self.model.optimizer
        # Mixed float16 wraps the optimizer in one that scales the loss.
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        return float(self.schedule(optimizer.iterations - 1))
