"""What is known of a tensor's elements, and which indices of it stay.

Elements are described by small arrays that have a tensor's axes but for the
batch; an axis of size 1 there means "the same all along this axis". A layout
is a tuple of one entry for each of these axes: the source's indices that a
narrower tensor holds, as ints, or None for all of them in order. An index of
-1 in a layout stands for nothing that a reader knows.
"""

import numpy as np


def uniform(value, shape):
    """The same for all elements of a tensor of shape `shape` (no batch)."""
    return np.full((1,) * len(shape), value)


def along(vector, axis, rank):
    """An array that varies along one of `rank` axes only."""
    shape = [1] * rank
    shape[axis] = len(vector)
    return np.reshape(vector, shape)


def vector(array, axis, size):
    """bool (size,): True for an index of the axis with any True element."""
    others = tuple(i for i in range(array.ndim) if i != axis % array.ndim)
    return np.broadcast_to(array.any(axis=others), (size,))


def common(array, axis, size):
    """float (size,): the one value at each index of an axis, else NaN."""
    others = tuple(i for i in range(array.ndim) if i != axis % array.ndim)
    low, high = array.min(axis=others), array.max(axis=others)
    return np.broadcast_to(np.where(low == high, low, np.nan), (size,))


def fit(array, shape):
    """Reduces a bool array to a tensor that is broadcast: any of its uses."""
    array = array.any(axis=tuple(range(array.ndim - len(shape))))
    for axis, size in enumerate(shape):
        if size == 1 and array.shape[axis] > 1:
            array = array.any(axis=axis, keepdims=True)
    return array


def varying(array):
    """Axes along which the array may differ."""
    return {axis for axis, size in enumerate(array.shape) if size > 1}


def merge(array, axes):
    """A bool array that varies along the axes given only: any of the rest."""
    rest = tuple(axis for axis in range(array.ndim) if axis not in axes)
    return array.any(axis=rest, keepdims=True)


def compress(array):
    """The array with size 1 along the axes where nothing changes."""
    for axis in range(array.ndim):
        first = array.take([0], axis=axis)
        same = (array == first) | ((array != array) & (first != first))
        if same.all():
            array = first
    return array


def whole(shape):
    """The layout that holds everything."""
    return (None,) * len(shape)


def hull(array, shape):
    """The smallest layout that holds every True element; one at the least."""
    layout = []
    for axis, size in enumerate(array.shape):
        kept = np.flatnonzero(vector(array, axis, size))
        layout.append(None if len(kept) == size else kept)
    return tuple(layout) if array.any() else _one(array, shape)


def labelled(array, shape):
    """The layout of a whole tensor of which only True elements are known."""
    layout = []
    for axis, size in enumerate(shape):
        if size is None:
            layout.append(None)
            continue
        known = vector(array, axis, size)
        layout.append(held(np.where(known, np.arange(size), -1), size))
    return tuple(layout)


def _one(array, shape):
    """One index along the axes that matter, or else along the last."""
    axes = varying(array) or {len(shape) - 1}
    return tuple(
        np.array([0]) if axis in axes and size not in (None, 1) else None
        for axis, size in enumerate(shape)
    )


def held(indices, size):
    """A layout's entry for one axis, which is None where nothing is missing."""
    every = len(indices) == size and np.array_equal(indices, np.arange(size))
    return None if every else np.asarray(indices)


def only(axis, indices, shape):
    """The layout that narrows one axis."""
    layout = list(whole(shape))
    layout[axis] = held(indices, shape[axis])
    return tuple(layout)


def indices(layout, axis, shape):
    """One axis of a layout, written out."""
    given = layout[axis]
    return np.arange(shape[axis]) if given is None else given


def take(array, layout):
    """The elements of a NumPy array that a layout holds.

    An axis along which the array has size 1 stays as it is.
    """
    for axis, kept in enumerate(layout):
        if kept is not None and array.shape[axis] > 1:
            array = np.take(array, kept, axis=axis)
    return array


def equal(a, b):
    """Whether two layouts hold the same in the same order."""
    return all(
        (x is None and y is None)
        or (x is not None and y is not None and np.array_equal(x, y))
        for x, y in zip(a, b, strict=True)
    )


def positions(wanted, have):
    """Where each wanted index stands in `have`; -1 where it does not.

    Args:
        wanted: ints (m,); -1 stays -1.
        have: ints (n,).

    Returns:
        ints (m,).
    """
    place = {channel: i for i, channel in enumerate(np.asarray(have).tolist())}
    place.pop(-1, None)
    return np.array(
        [place.get(channel, -1) for channel in np.asarray(wanted).tolist()], int
    )
