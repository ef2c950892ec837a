"""SIGTERM and SIGINT end a command that can go on later, with its code."""

import contextlib
import signal
import threading

from rrelu_tf.commands import quiet

# A shell's exit code of a process that a signal ended, less the signal.
_SIGNALLED = 128


def run(call, go_on):
    """Imports TensorFlow and calls what signals may stop.

    Args:
        call: function without arguments.
        go_on: text: what the same command does next, and what is lost.

    Returns:
        int: 0; 128 + the signal's number where training was stopped by one.
        SIGTERM elsewhere exits with that code, too.
    """
    with _terminable(go_on):
        quiet.import_tensorflow()
        from rrelu_tf.training.interruption import Interrupted

        try:
            call()
        except Interrupted as stop:
            print(f"{stop}; {go_on}")
            return _SIGNALLED + stop.signal
    return 0


@contextlib.contextmanager
def _terminable(go_on):
    """SIGTERM exits with 143 where the trainer does not listen itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    except SystemExit:
        print(f"stopped by SIGTERM; {go_on}")
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _leave(number, frame):
    raise SystemExit(_SIGNALLED + number)
