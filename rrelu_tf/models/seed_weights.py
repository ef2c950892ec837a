"""Weights that the papers' authors trained, into this library's models."""

import pathlib
import zipfile
import zlib

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.models import formula_weights, torch_layout

# How many names of a kind an error lists.
_LISTED = 3


def load_seed_weights(model, npz):
    """Copies PyTorch-named arrays into a model of `models.create`.

    A layer's PyTorch name is ours with dots for underscores, for instance
    `layer1.0.conv1` for `layer1_0_conv1`; where the RReLU and OrthoReg authors
    have other names, those are known, too. Arrays are stored as `w/<name>`:
    conv kernels `(out, in, height, width)`, depthwise ones
    `(channels, 1, height, width)`, linear ones `(out, in)`. Of what is not
    stored, a `.json` file of the same name may give the formula: see
    `formula_weights`.

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
        f"w/{name}": weight.array()
        for name, weight in torch_layout.weights(model).items()
    }
    np.savez(file, **arrays)


def load_named(model, arrays, source):
    """Copies arrays under their PyTorch names into a model.

    Args:
        model: the built model; changed in place.
        arrays: dict of name -> float array, in PyTorch's axes; names as the
            model's or as its authors'.
        source: where they come from, as "npz=weights.npz", for errors.

    Returns:
        The model.

    Raises:
        UserError: if names or shapes are not exactly the model's, in one line
            all that does not fit; the model is then unchanged.
    """
    _check_layers(model, source)
    wanted = torch_layout.weights(model)
    arrays = _renamed(arrays, wanted, source)
    missing = [name for name in wanted if name not in arrays]
    extra = sorted(name for name in arrays if name not in wanted)
    misfits = [
        f"{name} must have shape {weight.shape}, and has {arrays[name].shape}"
        for name, weight in wanted.items()
        if name in arrays and arrays[name].shape != weight.shape
    ]
    problems = [f"{_listed(missing)} missing"] * bool(missing)
    problems += [f"it has no weight for {_listed(extra)}"] * bool(extra)
    problems += [_listed(misfits)] * bool(misfits)
    if problems:
        raise UserError(
            f"There must be an array for every weight of {model.name}: "
            f"{'; '.join(problems)}. Received: {source}"
        )
    for name, weight in wanted.items():
        weight.assign(arrays[name])
    return model


def narrower(model, arrays, source):
    """The convolutions that are narrower in a pruned net's arrays.

    Args:
        model: the built model.
        arrays: as of `load_named`.
        source: as of `load_named`.

    Returns:
        dict: layer name -> int, the filters that the array has, fewer than
        the layer; empty for a net of full width.
    """
    wanted = torch_layout.weights(model)
    arrays = _renamed(arrays, wanted, source)
    found = {}
    for name, weight in wanted.items():
        key = name.removesuffix(".weight").replace(".", "_")
        if name in arrays and len(weight.shape) == 4 == arrays[name].ndim:
            filters = arrays[name].shape[0]
            if 0 < filters < weight.shape[0]:
                found[key] = filters
    return found


def _renamed(arrays, wanted, source):
    """The arrays under the model's own names."""
    named = {}
    for theirs, value in arrays.items():
        name = torch_layout.ours(theirs, wanted)
        if name in named:
            raise UserError(
                f"There must be one array for {name}, and {theirs} is another "
                f"one. Received: {source}"
            )
        named[name] = value
    return named


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
    arrays = formula_weights.read(path.with_suffix(".json")) | arrays
    check_floats(arrays, f"npz={npz}")
    return arrays


def _check_layers(model, source):
    """Checks that no layer has weights that would be left as they are."""
    for layer in torch_layout.nameless(model):
        raise UserError(
            "Only convs, linear layers, batch norms and rotated activations "
            f"have PyTorch names, and {layer.name} of {model.name} is a "
            f"{type(layer).__name__}. Received: {source}"
        )


def _listed(items):
    """The first items, and how many more there are."""
    rest = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {rest} more" * (rest > 0))
