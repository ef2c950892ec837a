"""Files and folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import secrets
import shutil

from rrelu_tf.errors import UserError


@contextlib.contextmanager
def path(final):
    """Yields a temporary name that becomes `final` if nothing is raised.

    The temporary name lies in `final`'s folder, so that the last step is one
    rename; what was written is on the disk before it. A new file takes the old
    one's place. A new folder does not: its name must be free.

    Args:
        final: path of a file or folder, in a folder that exists.

    Yields:
        A `pathlib.Path` that does not exist yet; write a file or a folder
        there.

    Raises:
        UserError: if the system cannot write (disk full, no permission,
            `final` is a folder that is not empty); `final` is as it was then,
            and nothing temporary is left, as with every other exception.
    """
    final = pathlib.Path(final)
    # Processes of several machines may write here, and share a process id.
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, final)
        _sync_entry(final.parent)
    except OSError as error:
        raise UserError(
            f"{final.name} must be writable, but: {error.strerror or error}. "
            f"Received: path={final}"
        ) from error
    finally:
        _discard(temporary)


def write_bytes(final, content):
    """Writes bytes to the file `final`; raises as `path` does."""
    with path(final) as temporary:
        temporary.write_bytes(content)


def write_text(final, text):
    """Writes UTF-8 text to the file `final`; raises as `path` does."""
    write_bytes(final, text.encode())


def make_folder(folder, name):
    """Makes a folder and its parents where they are missing.

    Args:
        folder: path of the folder.
        name: what the user calls it, for the error.

    Raises:
        UserError: if the system cannot make it.
    """
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{name} must be a folder that can be made, but: "
            f"{error.strerror}. Received: {name}={folder}"
        ) from error


def leftovers(folder, *names):
    """The temporary files that killed processes left behind.

    Args:
        folder: path of a folder, which need not exist.
        *names: final names of the files, or patterns of them, as `*.png`.

    Returns:
        A list of `pathlib.Path`, without the temporary folders.
    """
    return [
        path
        for name in names
        for path in pathlib.Path(folder).glob(f".{name}.*.tmp")
        if not path.is_dir()
    ]


def discard_leftovers(folder, *names):
    """Deletes the `leftovers` of the same arguments.

    Raises:
        UserError: if the system cannot delete.
    """
    for leftover in leftovers(folder, *names):
        try:
            leftover.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"{leftover.name} must be deletable, but: {error.strerror}. "
                f"Received: path={leftover}"
            ) from error


def _sync(top):
    """Brings a file, or a folder with all that is in it, onto the disk."""
    if top.is_dir():
        for entry in top.rglob("*"):
            _sync_entry(entry)
    _sync_entry(top)


def _sync_entry(entry):
    descriptor = os.open(entry, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(temporary):
    # Its folder may be what is missing or unwritable: nothing is left then.
    if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            temporary.unlink()
