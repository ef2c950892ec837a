"""A kernel as a matrix of filters, and the Gram matrix of either side."""

import math

from keras import ops

from rrelu_tf.errors import UserError

SIDES = ("smaller", "filters", "inputs")


def matrix(kernel, filters=-1, bias=None):
    """A kernel as a matrix, one column a filter.

    Args:
        kernel: tensor of any rank from 2 on.
        filters: the axis, or axes, along which the filters lie.
        bias: None, or (filters,): it becomes one more row.

    Returns:
        (fan-in, filters): the transpose of the `W = weight.reshape(out, -1)`
        of PyTorch, and of the `[W | bias]`.

    Raises:
        UserError: axes that the kernel does not have, or no other ones.
    """
    rank = len(kernel.shape)
    axes = tuple(filters) if isinstance(filters, (tuple, list)) else (filters,)
    columns = [axis % rank for axis in axes if -rank <= axis < rank]
    if len({*columns}) < len(axes) or not 0 < len(columns) < rank:
        raise UserError(
            "A kernel must have the axes of its filters, and others besides. "
            f"Received: filters={filters} of shape {tuple(kernel.shape)}"
        )
    rows = [axis for axis in range(rank) if axis not in columns]
    if rows + columns != list(range(rank)):
        kernel = ops.transpose(kernel, rows + columns)
    count = math.prod(kernel.shape[len(rows) :])
    flat = ops.reshape(kernel, (-1, count))
    if bias is None:
        return flat
    return ops.concatenate([flat, ops.reshape(bias, (1, count))])


def is_of_filters(matrix, side):
    """Whether a side is that of the filters; "smaller" depends on the shape.

    Raises:
        UserError: if it is none of `SIDES`.
    """
    if side not in SIDES:
        raise UserError(
            f"side must be one of {', '.join(SIDES)}. Received: side={side}"
        )
    inputs, filters = matrix.shape
    return side == "filters" or (side == "smaller" and filters <= inputs)


def gram(matrix, side="smaller"):
    """The products of a matrix's columns, or of its rows, with one another.

    Args:
        matrix: (fan-in, filters).
        side: "filters" for (filters, filters), the `W W^T` of PyTorch's W;
            "inputs" for (fan-in, fan-in), its `W^T W`; "smaller" for the
            smaller of the two.

    Raises:
        UserError: another side.
    """
    transposed = ops.transpose(matrix)
    if is_of_filters(matrix, side):
        return ops.matmul(transposed, matrix)
    return ops.matmul(matrix, transposed)
