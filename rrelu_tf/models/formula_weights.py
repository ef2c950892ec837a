"""Weights that a file does not hold but tells how to compute.

Reference networks of millions of weights come as a few constants: a JSON file
beside the `.npz` lists under `parameters` each array's `name` and `shape`,
whether it is `stored`, and if not, the constants `C` and `bound` of `draw`.
"""

import json
import math

import numpy as np

from rrelu_tf.errors import UserError

_MODULUS = 2**31 - 1
_FACTOR = 48271


def read(path):
    """The arrays that are not stored.

    Args:
        path: `pathlib.Path` of the JSON file.

    Returns:
        Dict of name -> float32 array; {} without the file, or if it does not
        list parameters.

    Raises:
        UserError: for a file that is not JSON, or an entry without what `draw`
            needs.
    """
    try:
        listed = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(
            "The file beside the weights must be readable JSON. "
            f"Received: json={path}"
        ) from error
    entries = listed.get("parameters", []) if isinstance(listed, dict) else []
    try:
        return dict(_drawn(entry) for entry in entries if not entry["stored"])
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(
            "Parameters that are not stored must have a name, a shape, a whole "
            "number C from 0 to below 2^31 - 1 and a bound above 0 "
            f"({error!r}). Received: json={path}"
        ) from error


def _drawn(entry):
    """An entry's name and array."""
    name, shape, bound = (entry[key] for key in ("name", "shape", "bound"))
    if not isinstance(name, str):
        raise TypeError(f"name={name}")
    if not all(type(size) is int and size > 0 for size in shape):
        raise ValueError(f"shape={shape}")
    if not 0 < bound < math.inf:
        raise ValueError(f"bound={bound}")
    return name, draw(shape, entry["C"], bound)


def draw(shape, constant, bound):
    """Uniform numbers by a formula, the same on every machine.

    For i = 1, 2, ... along the rows, modulo the prime P = 2^31 - 1:
    `h = ((48271 i + C)^2 mod P) (48271 i + C) mod P`, and the weight is
    `(2 h / P - 1) bound`, in float64.

    Args:
        shape: of the array, in PyTorch's axes.
        constant: C, an int from 0 to below P.
        bound: the largest absolute value.

    Returns:
        A float32 array.

    Raises:
        ValueError: for another C.
    """
    size = math.prod(shape)
    if type(constant) is not int or not 0 <= constant < _MODULUS:
        raise ValueError(f"C={constant}")
    first = _FACTOR * np.arange(1, size + 1, dtype="int64") + constant
    first %= _MODULUS
    third = first * first % _MODULUS * first % _MODULUS
    values = (2 * (third / _MODULUS) - 1) * float(bound)
    return values.astype("float32").reshape(shape)
