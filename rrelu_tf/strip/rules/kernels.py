"""Arithmetic on kernels of shape (taps, groups, in, out).

Channels in and out are those of one group: one group is a full matrix, one
group per channel a depthwise kernel. Channel vectors are flat over groups.
"""

import numpy as np


def reaching(kernel):
    """bool (groups, in, out): whether any tap connects the two."""
    return (kernel != 0).any(axis=0)


def reached(kernel, inputs):
    """bool (outputs,): whether any of the inputs, bool, reaches an output."""
    inputs = inputs.reshape(kernel.shape[1:3])
    return (reaching(kernel) & inputs[:, :, None]).any(axis=1).ravel()


def reaches(kernel, outputs):
    """bool (inputs,): whether an input reaches any of the outputs, bool."""
    outputs = outputs.reshape(kernel.shape[1], kernel.shape[3])
    return (reaching(kernel) & outputs[:, None, :]).any(axis=2).ravel()


def product(kernel, inputs):
    """float64 (outputs,): the sum over all taps of kernel times inputs."""
    inputs = inputs.reshape(kernel.shape[1:3])
    some = np.flatnonzero((inputs != 0).any(axis=0))
    made = np.einsum(
        "gi,tgio->go",
        inputs[:, some],
        kernel[:, :, some].astype("float64"),
        optimize=True,
    )
    return made.ravel()


def propagate(kernel, known, everywhere):
    """Outputs that only known inputs make, before the bias.

    Args:
        kernel: (taps, groups, in, out).
        known: float (inputs,), NaN for "not known".
        everywhere: whether all positions meet all taps; if not, only inputs
            that are 0 count as known.

    Returns:
        float64 (outputs,), NaN for "not known".
    """
    varies = np.isnan(known) | ((known != 0) & (not everywhere))
    made = product(kernel, np.where(varies, 0.0, known))
    return np.where(reached(kernel, varies), np.nan, made)


def even(channels, groups, width):
    """Channels by group, all groups equally many.

    Args:
        channels: ints, channels of the source.
        groups: ints (n,), the groups that stay.
        width: channels of a group in the source.

    Returns:
        ints (n, m): each group's channels in the order given, then -1.
    """
    channels = channels[np.isin(channels // width, groups)]
    member = np.searchsorted(groups, channels // width)
    order = np.argsort(member, kind="stable")
    channels, member = channels[order], member[order]
    counts = np.bincount(member, minlength=len(groups))
    made = np.full((len(groups), max(1, counts.max())), -1)
    starts = np.cumsum(counts) - counts
    made[member, np.arange(len(channels)) - starts[member]] = channels
    return made


def cut(kernel, groups, rows, columns):
    """The kernel of the groups, rows and columns given.

    Args:
        kernel: (taps, groups, in, out).
        groups: ints (n,).
        rows: ints (n, m), channels; -1 for a row of zeros.
        columns: ints (n, k), channels; -1 for a column of zeros.

    Returns:
        (taps, n, m, k), of the kernel's dtype.
    """
    _, _, fan_in, fan_out = kernel.shape
    made = kernel[
        :,
        groups[:, None, None],
        (rows % fan_in)[:, :, None],
        (columns % fan_out)[:, None, :],
    ]
    made[:, (rows < 0)] = 0
    made.swapaxes(2, 3)[:, columns < 0] = 0
    return made
