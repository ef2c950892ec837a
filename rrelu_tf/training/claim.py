"""One process at a time trains in a run folder."""

import contextlib
import fcntl
import pathlib
import shutil

from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints

FILE = ".lock"


@contextlib.contextmanager
def claimed(path):
    """Makes the run folder and keeps other processes from training in it.

    A folder made here that has no checkpoint in the end (a full disk) is
    removed again. The system frees the claim however this process ends.

    Raises:
        UserError: if the folder cannot be written, or if another process
            trains there.
    """
    path = pathlib.Path(path)
    new = make_folder(path)
    with _open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                "only one process at a time may train in a run folder. "
                f"Received: run={path}"
            ) from error
        try:
            yield
        finally:
            if new and not checkpoints.epochs(path / "checkpoints"):
                shutil.rmtree(path, ignore_errors=True)


def make_folder(path):
    """Makes a folder and its parents; returns whether it was not there.

    Raises:
        UserError: if the folder cannot be made.
    """
    try:
        new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from error
    return new


def _open(path):
    try:
        return open(path / FILE, "w")
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path, error):
    return UserError(
        f"the run folder must be writable, but: {error.strerror}. "
        f"Received: run={path}"
    )
