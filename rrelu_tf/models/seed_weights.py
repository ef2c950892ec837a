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
# How many names of a kind an error lists.
_LISTED = 3


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
    return load_named(model, read(npz), f"npz={npz}")


def save_seed_weights(model, file):
    """Writes a model's weights as `load_seed_weights` reads them.

    Args:
        model: a built model of `models.create`.
        file: a binary file that is open for writing.

    Raises:
        UserError: for a layer whose weights have no PyTorch name.
    """
    _check_layers(model, f"model={model.name}")
    arrays = {
        f"w/{name}": _to_torch(keras.ops.convert_to_numpy(variable))
        for name, variable in variables(model).items()
    }
    np.savez(file, **arrays)


def load_named(model, arrays, source):
    """Copies arrays under their PyTorch names into a model.

    Args:
        model: the built model; changed in place.
        arrays: dict of name -> float array, in PyTorch's axes.
        source: where they come from, as "npz=weights.npz", for errors.

    Returns:
        The model.

    Raises:
        UserError: if names or shapes are not exactly the model's, in one line
            all that does not fit; the model is then unchanged.
    """
    _check_layers(model, source)
    wanted = variables(model)
    missing = [name for name in wanted if name not in arrays]
    extra = sorted(name for name in arrays if name not in wanted)
    misfits = [
        f"{name} must have shape {shape}, and has {arrays[name].shape}"
        for name, variable in wanted.items()
        if name in arrays
        and arrays[name].shape != (shape := _torch_shape(variable))
    ]
    problems = [f"{_listed(missing)} missing"] * bool(missing)
    problems += [f"it has no weight for {_listed(extra)}"] * bool(extra)
    problems += [_listed(misfits)] * bool(misfits)
    if problems:
        raise UserError(
            f"There must be an array for every weight of {model.name}: "
            f"{'; '.join(problems)}. Received: {source}"
        )
    for name, variable in wanted.items():
        variable.assign(_to_keras(arrays[name]))
    return model


def variables(model):
    """Dict of PyTorch name -> variable, of the layers that have such names."""
    return {
        layer.name.replace("_", ".") + "." + theirs: getattr(layer, ours)
        for layer in model.layers
        for ours, theirs in _table(layer).items()
        if getattr(layer, ours) is not None
    }


def check_floats(arrays, source):
    """Raises a UserError for an array that is not of floats."""
    for name, value in arrays.items():
        if value.dtype.kind != "f":
            raise UserError(
                f"{name} must be an array of floats, and is of {value.dtype}. "
                f"Received: {source}"
            )


def read(npz):
    """Name -> float array, of the file; raises `UserError` for any other."""
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
    check_floats(arrays, f"npz={npz}")
    return arrays


def _check_layers(model, source):
    """Checks that no layer has weights that would be left as they are."""
    for layer in model.layers:
        if layer.weights and not _table(layer):
            raise UserError(
                "Only convs, linear layers, batch norms and rotated "
                f"activations have PyTorch names, and {layer.name} of "
                f"{model.name} is a {type(layer).__name__}. Received: {source}"
            )


def _table(layer):
    """Our name -> PyTorch's of a layer's variables."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return _NORM
    if isinstance(layer, Rotated):
        return _SLOPE
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
        return _CONV
    return {}


def _listed(items):
    """The first items, and how many more there are."""
    rest = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {rest} more" * (rest > 0))


def _to_keras(value):
    """Kernels from PyTorch's axes to Keras's; other arrays as they are."""
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    return value.T if value.ndim == 2 else value


def _to_torch(value):
    """Kernels from Keras's axes to PyTorch's; other arrays as they are."""
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value


def _torch_shape(variable):
    return _to_torch(np.empty(variable.shape, bool)).shape
