"""A model from its .keras file."""

import pathlib
import zipfile
import zlib

import keras

# These register the layers and models that the file may hold.
import rrelu_tf.layers
import rrelu_tf.strip  # noqa: F401
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
