"""Where a layer moves elements: its index map, found by running it.

An index map says, per output element, which flat input element it is; -1
stands for a constant.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from rrelu_tf.strip import elements

_REFUSED = (ValueError, TypeError, IndexError, tf.errors.OpError)


def run(call, layer, numbers):
    """Per output, the numbers where they went, -1 for constants; or None.

    Two examples, whose numbers differ, tell that nothing moves between them.
    """
    shift = 1 + (int(numbers.max()) if numbers.size else 0)
    given = np.stack([numbers + 1, numbers + 1 + shift])
    try:
        made = call.node.call(layer, [ops.convert_to_tensor(given, "int64")])
        made = [ops.convert_to_numpy(output) for output in made]
    except _REFUSED:
        return None
    found = []
    for output in made:
        if output.ndim == 0 or len(output) != 2:
            return None
        first, second = output
        moved = second - first == shift
        if not np.all(moved | (first == second)):
            return None
        if not np.isin(first[moved], numbers + 1).all():
            return None
        found.append(np.where(moved, first - 1, -1))
    return found


def available(source, numbers):
    """The layout of what the inputs given make, and of constants alone."""
    there, constant = np.isin(source, numbers), source < 0
    layout = []
    for axis, size in enumerate(source.shape):
        others = tuple(i for i in range(source.ndim) if i != axis)
        kept = there.any(axis=others) | constant.all(axis=others)
        layout.append(elements.held(np.flatnonzero(kept), size))
    return tuple(layout)


def covers(alive, layout, shape):
    """Whether a layout of a tensor of this shape holds every live element."""
    return all(
        kept is None
        or np.isin(
            np.flatnonzero(elements.vector(alive, axis, shape[axis])), kept
        ).all()
        for axis, kept in enumerate(layout)
    )


def padded(source, have):
    """Whether constants are put in along an axis that is narrowed."""
    constant = source < 0
    if not constant.any():
        return False
    if source.ndim != len(have):
        return True
    return any(
        kept is not None and (constant != constant.take([0], axis=axis)).any()
        for axis, kept in enumerate(have)
    )


def axis_maps(source, shape):
    """Per axis, ints: the input's index for each of the output's, or None.

    None for the whole unless each axis is a selection from the same axis.
    """
    if source.ndim != len(shape) or not (source >= 0).any():
        return None
    maps = []
    real = source >= 0
    where = np.unravel_index(np.maximum(source, 0), shape)
    expected = np.ones(source.shape, bool)
    for axis in range(source.ndim):
        others = tuple(i for i in range(source.ndim) if i != axis)
        index = np.where(real, where[axis], -1).max(axis=others)
        maps.append(index)
        at = elements.along(index, axis, source.ndim)
        expected &= at >= 0
        if (real & (where[axis] != at)).any():
            return None
    return maps if np.array_equal(real, expected) else None


def relabel(maps, have, shape, alive):
    """The layout that the input is, seen as the output; None if it is not.

    Not where two live outputs are the same input: it has one label only.
    """
    layout = []
    for axis, index in enumerate(maps):
        held = elements.indices(have, axis, shape)
        if np.array_equal(index, np.arange(shape[axis])):
            layout.append(have[axis])
            continue
        live = elements.vector(alive, axis, len(index))
        index = np.where(live & (index >= 0), index, -2)
        real = index[index >= 0]
        if len(np.unique(real)) < len(real):
            return None
        layout.append(elements.positions(held, index))
    return tuple(layout)
