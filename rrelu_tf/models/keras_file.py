"""Models in .keras files."""

import json
import pathlib
import zipfile
import zlib

import keras

# These register the layers and models that the file may hold.
import rrelu_tf.layers
import rrelu_tf.strip  # noqa: F401
from rrelu_tf import atomic
from rrelu_tf.errors import UserError

# What reading a file raises that is cut, altered or of other classes.
_BROKEN = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, EOFError),
    *(zipfile.BadZipFile, zlib.error),
)


def load(path):
    """The model in a `.keras` file, not compiled.

    Raises:
        UserError: a file that is not there, or cannot be read as one, as of
            what TFMOT wrapped; what `prune_channels` wrapped.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"The model's file must exist. Received: model={path}")
    if _is_wrapped(path):
        raise UserError(
            "A .keras file must be of a model without wrappers: import "
            "rrelu_tf.pruning, load it by Keras, call rrelu_tf.strip_pruning "
            f"on it, and save that. Received: model={path}"
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except _BROKEN as error:
        if _is_of_keras_2(path):
            raise UserError(
                "A .keras file of Keras 2 (tf_keras) must be of Keras's own "
                "layers alone: load it by tf_keras, call tfmot.sparsity.keras."
                "strip_pruning on what TFMOT wrapped, and save that. "
                f"Received: model={path}"
            ) from error
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"A .keras file must be whole and readable, but: {reason[0]} "
            f"Received: model={path}"
        ) from error


def _is_wrapped(path):
    """Whether the file holds wrappers of `prune_channels`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return b"rrelu_tf>PruneChannels" in archive.read("config.json")
    except _BROKEN:
        return False


def _is_of_keras_2(path):
    """Whether tf_keras wrote the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read("metadata.json"))
        return metadata["keras_version"].startswith("2.")
    except _BROKEN:
        return False


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
