"""How long training steps wait for their data."""

import sys
import time

import keras
import tensorflow as tf

_MUCH = 0.2  # of the steps' time, from which on the user is told
_LITTLE = 5.0  # seconds an epoch, up to which it does not matter


def _now():
    """Seconds; TensorFlow's own clock is refused to deterministic runs."""
    seconds = tf.numpy_function(time.perf_counter, (), tf.float64)
    return tf.ensure_shape(seconds, ())


class InputWait(keras.callbacks.Callback):
    """Warns, once, when steps spend much of their time waiting for data.

    A step asks the input pipeline for its batch and computes. What is ready
    by then costs nothing; what is not is waited for, and more devices, or
    faster ones, would wait as long. The clock is read in the step's own graph.

    Make it outside any strategy's scope.

    Attributes:
        share: float, of the last epoch's time, without validation; None
            before.

    Args:
        clock: function without arguments that returns seconds, a float64
            scalar tensor, in a graph too.
    """

    def __init__(self, clock=_now):
        super().__init__()
        self.share = None
        self._clock = clock
        self._waited = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        self._warned = False

    def on_train_begin(self, logs=None):
        """Lets the model's step read its batches through the clock."""
        self.model.make_train_function()
        step, timed = self.model.train_function, None

        def timed_step(iterator):
            nonlocal timed
            if timed is None or timed.iterator is not iterator:
                timed = _Timed(iterator, self._clock, self._waited)
            return step(timed)

        self.model.train_function = timed_step

    def on_epoch_begin(self, epoch, logs=None):
        """Begins to count."""
        self._waited.assign(0.0)
        self._began = float(self._clock())

    def on_train_batch_end(self, batch, logs=None):
        """Notes when the step was done."""
        self._ended = float(self._clock())

    def on_epoch_end(self, epoch, logs=None):
        """Warns where it matters."""
        waited, took = float(self._waited), self._ended - self._began
        self.share = waited / took if took else 0.0
        if self._warned or self.share < _MUCH or waited < _LITTLE:
            return
        self._warned = True
        print(
            f"warning: of epoch {epoch + 1} steps spent {self.share:.0%} "
            f"({waited:.1f} s) waiting for data: keep decoded images (--cache="
            "memory, --cache=disk) or give the input pipeline more CPU cores",
            file=sys.stderr,
        )


class _Timed(tf.distribute.DistributedIterator):
    """An iterator, of any kind, that adds up how long reading takes."""

    def __init__(self, iterator, clock, waited):
        self.iterator = iterator
        self._clock = clock
        self._waited = waited

    @property
    def element_spec(self):
        return self.iterator.element_spec

    def get_next(self):
        return self._timed(self.iterator.get_next)

    def get_next_as_optional(self):
        return self._timed(self.iterator.get_next_as_optional)

    def _timed(self, read):
        began = self._clock()
        with tf.control_dependencies([began]):
            batch = read()
        with tf.control_dependencies(
            tf.nest.flatten(batch, expand_composites=True)
        ):
            ended = self._clock()
        self._waited.assign_add(ended - began)
        return batch

    def __next__(self):
        return next(self.iterator)

    def __iter__(self):
        return self
