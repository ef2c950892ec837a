"""A folder of numbered versions, as TensorFlow Serving lays them out."""

import contextlib
import pathlib

from rrelu_tf.errors import UserError


def number(out, version):
    """The version to write: the one asked for, or the next.

    Args:
        out: `pathlib.Path` of the folder of versions.
        version: int of at least 1, or None.

    Raises:
        UserError: if it is below 1, or taken.
    """
    taken = {int(p.name) for p in out.iterdir() if p.name.isdecimal()}
    if version is None:
        return max(taken, default=0) + 1
    if version < 1 or version in taken:
        raise UserError(
            f"A version must be at least 1 and new in {out}. "
            f"Received: version={version}"
        )
    return version


@contextlib.contextmanager
def folder(out):
    """Makes the folder, and takes it away again if an exception passes.

    Args:
        out: its path.

    Yields:
        The same as a `pathlib.Path`.

    Raises:
        UserError: if it cannot be written.
    """
    out = pathlib.Path(out)
    missing = [p for p in (out, *out.parents) if not p.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield out
    except BaseException as error:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        if isinstance(error, OSError):
            raise UserError(
                f"The folder must be writable, but: {error.strerror}. "
                f"Received: out={out}"
            ) from error
        raise
