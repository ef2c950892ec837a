"""Weights that the papers' authors trained, into this library's models."""

import pathlib
import zipfile
import zlib

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated

# Our variable's name -> PyTorch's, per kind of layer.
_CONV = {"kernel": "weight", "bias": "bias"}
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_SLOPE = {"slope": "a"}


def load_seed_weights(model, npz):
    """Copies PyTorch-named arrays into a model of `models.create`.

    A layer's PyTorch name is ours with dots for underscores, for instance
    `layer1.0.conv1` for `layer1_0_conv1`. Arrays are stored as `w/<name>`:
    conv kernels `(out, in, height, width)`, linear ones `(out, in)`.

    Args:
        model: the built model; changed in place.
        npz: path of the `.npz` file.

    Returns:
        The model.

    Raises:
        UserError: a file that cannot be read, or whose names or shapes are
            not exactly the model's; the model is then unchanged.
    """
    arrays = _read(npz)
    assignments = []
    for layer in model.layers:
        for variable, theirs in _names(layer):
            name = layer.name.replace("_", ".") + "." + theirs
            if name not in arrays:
                raise UserError(
                    f"The file must hold an array for every weight of "
                    f"{model.name}; {name} is missing. Received: npz={npz}"
                )
            value = _to_keras(arrays.pop(name))
            if value.shape != tuple(variable.shape):
                raise UserError(
                    f"{name} must have shape {tuple(variable.shape)} for "
                    f"{model.name}, and has {value.shape}. Received: npz={npz}"
                )
            assignments.append((variable, value))
    if arrays:
        raise UserError(
            f"{model.name} has no weight for {', '.join(sorted(arrays)[:3])}. "
            f"Received: npz={npz}"
        )
    for variable, value in assignments:
        variable.assign(value)
    return model


def _read(npz):
    path = pathlib.Path(npz)
    try:
        # A .npz file is a zip file; np.load would take .npy and pickles, too.
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as stored:
            arrays = {
                key.removeprefix("w/"): np.asarray(stored[key])
                for key in stored.files
                if key.startswith("w/")
            }
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"The weights must be a readable .npz file ({error}). "
            f"Received: npz={npz}"
        ) from error
    for name, value in arrays.items():
        if value.dtype.kind != "f":
            raise UserError(
                f"{name} must be an array of floats, and is of {value.dtype}. "
                f"Received: npz={npz}"
            )
    return arrays


def _names(layer):
    """(variable, PyTorch name) pairs, of the layers that have weights."""
    if isinstance(layer, keras.layers.BatchNormalization):
        table = _NORM
    elif isinstance(layer, Rotated):
        table = _SLOPE
    elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
        table = _CONV
    else:
        return []
    return [
        (getattr(layer, ours), theirs)
        for ours, theirs in table.items()
        if getattr(layer, ours) is not None
    ]


def _to_keras(value):
    """Kernels from PyTorch's axes to Keras's; other arrays as they are."""
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    return value.T if value.ndim == 2 else value
