"""SIGTERM and SIGINT stop a run between two batches."""

import signal
import threading

import keras


class Interrupted(Exception):
    """The run was asked to stop. `signal` is the `signal.Signals` received."""

    def __init__(self, number):
        self.signal = signal.Signals(number)
        super().__init__(f"stopped by {self.signal.name}")


class Interruption(keras.callbacks.Callback):
    """Raises `Interrupted` at the first batch boundary after a signal.

    Use it as a context manager around all that may be interrupted, and as a
    callback. Nothing is saved then: the checkpoint of the last whole epoch is
    on the disk already. The second signal acts as if there were no handler.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        super().__init__()
        self._received = None
        self._previous = {}

    def __enter__(self):
        # Python lets only the main thread handle signals.
        if threading.current_thread() is threading.main_thread():
            for number in self._SIGNALS:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        self._restore()

    def check(self):
        """Raises `Interrupted` if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def on_train_batch_end(self, batch, logs=None):
        """Raises `Interrupted` if a signal has come."""
        self.check()

    def on_test_batch_end(self, batch, logs=None):
        """Raises `Interrupted` if a signal has come."""
        self.check()

    def on_epoch_begin(self, epoch, logs=None):
        """Raises `Interrupted` if a signal has come."""
        self.check()

    def _note(self, number, frame):
        self._received = number
        self._restore()

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
