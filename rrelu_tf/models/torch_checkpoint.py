"""PyTorch checkpoints of the papers' authors, read without running them."""

import io
import pathlib
import pickle
import re
import warnings

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.models import seed_weights

_SUFFIXES = (".th", ".pth", ".pt")
# Where checkpoints keep the state dict: the RReLU authors', the OrthoReg ones'.
_NESTED = ("state_dict", "net")


def read(path):
    """The arrays of a PyTorch checkpoint.

    The state dict may be the file's content or lie under `state_dict` or
    `net`; the prefix `module.` of data-parallel training is cut off. Counts
    of batches (`num_batches_tracked`) are left out, and so are Network
    Slimming's channel selections (`indexes`) that select every channel.

    What else there is, as the widths `cfg` beside the `net` of a pruned one,
    is left out: shapes tell the same.

    Only tensors, numbers and plain containers are read
    (`torch.load(weights_only=True)`): nothing in the file is run.

    Args:
        path: path of a `.th`, `.pth` or `.pt` file.

    Returns:
        Dict of PyTorch name -> float array, in the file's order; half
        precision as float32.

    Raises:
        UserError: without PyTorch, or for a file that is not such a one.
    """
    path = pathlib.Path(path)
    source = f"checkpoint={path}"
    arrays = {
        name: _array(name, tensor, source)
        for name, tensor in _state_dict(_load(path), source).items()
        if not name.endswith("num_batches_tracked")
    }
    for name in [name for name in arrays if name.endswith("indexes")]:
        if not (arrays.pop(name) == 1).all():
            raise UserError(
                "Channel selections must select every channel, and "
                f"{name} does not. Received: {source}"
            )
    seed_weights.check_floats(arrays, source)
    return arrays


def num_classes(arrays, path):
    """The number of classes: the outputs of the last linear layer.

    Args:
        arrays: what `read` returned.
        path: where it was read, for errors.

    Returns:
        int.

    Raises:
        UserError: if there is no linear layer.
    """
    kernels = [value for value in arrays.values() if value.ndim == 2]
    if not kernels:
        raise UserError(
            "A checkpoint without a linear layer does not tell its number of "
            f"classes. Received: checkpoint={path}"
        )
    return kernels[-1].shape[0]


def load(model, arrays, path):
    """Copies a checkpoint's arrays into a model of `models.create`.

    Names are matched as in `models.load_seed_weights`.

    Args:
        model: the built model; changed in place.
        arrays: what `read` returned.
        path: where it was read, for errors.

    Returns:
        The model.

    Raises:
        UserError: if names or shapes are not exactly the model's, in one line
            all that does not fit; the model is then unchanged.
    """
    return seed_weights.load_named(model, arrays, f"checkpoint={path}")


def _load(path):
    """What torch.load makes of the file."""
    if path.suffix not in _SUFFIXES:
        raise UserError(
            f"A checkpoint must be a {', '.join(_SUFFIXES)} file. "
            f"Received: checkpoint={path}"
        )
    torch = _torch()
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"A checkpoint must be readable, but: {error.strerror or error}. "
            f"Received: checkpoint={path}"
        ) from error
    try:
        with warnings.catch_warnings():
            # About formats that are refused below.
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals(_numbers()):
                return torch.load(
                    content, map_location="cpu", weights_only=True
                )
    # A broken file ends in whatever its reader stumbles over.
    except Exception as error:
        raise UserError(
            f"{_refusal(error)}. Received: checkpoint={path}"
        ) from error


def _numbers():
    """What NumPy's numbers are read by, as those in the OrthoReg `cfg`."""
    scalar = np.int64(0).__reduce__()[0]
    places = ("numpy.core.multiarray", "numpy._core.multiarray")
    kinds = [type(np.dtype(name)) for name in ("int32", "int64", "float64")]
    return [*((scalar, f"{x}.scalar") for x in places), np.dtype, *kinds]


def _refusal(error):
    """The rule that a file broke, by torch.load's error."""
    called = re.search(r"GLOBAL ([\w.]+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and called:
        return (
            "A checkpoint must hold nothing but tensors, numbers and plain "
            f"containers; this one asks for {called[1]}, which was not run"
        )
    kind = type(error).__name__
    return f"A checkpoint must be a whole file of torch.save ({kind})"


def _torch():
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "Reading checkpoints needs PyTorch: pip install 'rrelu_tf[torch]'. "
            "Received: torch=None"
        ) from error
    return torch


def _state_dict(content, source):
    """Name -> tensor, without wrappers and prefixes."""
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    torch = _torch()
    if not isinstance(content, dict) or not content:
        raise UserError(
            "A checkpoint must hold a state dict, as it is or under "
            f"{' or '.join(_NESTED)}. Received: {source}"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise UserError(
                "A state dict must hold tensors by their names, and "
                f"{name} is a {type(value).__name__}. Received: {source}"
            )
    while all(name.startswith("module.") for name in content):
        content = {
            name.removeprefix("module."): value
            for name, value in content.items()
        }
    return content


def _array(name, tensor, source):
    torch = _torch()
    tensor = tensor.detach()
    if tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()
    try:
        return tensor.numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise UserError(
            f"{name} must be a dense tensor with its numbers in the file. "
            f"Received: {source}"
        ) from error
