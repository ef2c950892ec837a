"""Models in .keras files."""

import pathlib
import zipfile
import zlib

import keras

# These register the layers and models that the file may hold.
import rrelu_tf.layers
import rrelu_tf.strip  # noqa: F401
from rrelu_tf import atomic
from rrelu_tf.errors import UserError


def load(path):
    """The model in a `.keras` file, not compiled.

    Raises:
        UserError: a file that is not there, or cannot be read as one.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"The model's file must exist. Received: model={path}")
    try:
        return keras.saving.load_model(path, compile=False)
    except (
        *(OSError, ValueError, TypeError, KeyError, AttributeError, EOFError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"A .keras file must be whole and readable, but: {reason[0]} "
            f"Received: model={path}"
        ) from error


def save(model, path):
    """Writes a model's `.keras` file, whole or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    with atomic.path(path) as temporary:
        # Keras goes by the suffix.
        whole = temporary.with_name(f"{temporary.name}.keras")
        try:
            model.save(whole)
            whole.rename(temporary)
        finally:
            whole.unlink(missing_ok=True)
