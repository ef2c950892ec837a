"""Operands that are known: made from another operand, not computed.

So the branch that would compute one goes away whole.
"""

import dataclasses

import numpy as np

from rrelu_tf.strip import elements


@dataclasses.dataclass(frozen=True)
class StandIn:
    """A known input, as numbers laid over the tensor of another input.

    Attributes:
        of: number of the input that it has its batch and other sizes from.
        axis: where the numbers lie, not counting the batch.
        fill: float array, one number for each index there; of a layout, once
            `narrowed`.
    """

    of: int
    axis: int
    fill: np.ndarray

    def narrowed(self, layout):
        """The numbers that a layout of the known input holds."""
        kept = layout[self.axis]
        fill = self.fill if kept is None else self.fill[kept]
        return dataclasses.replace(self, fill=fill)


def stand_ins(call, needed):
    """The inputs that are known, and can be made from one that is not.

    For functions that broadcast inputs of the output's rank: the shape of the
    output stays what it is.

    Args:
        call: a `Call`.
        needed: per input, bool array; None for one that is not read anyway.

    Returns:
        dict: number of an input -> its `StandIn`.
    """
    read = [i for i, need in enumerate(needed) if need is not None]
    known = {i: _known(call, i, needed[i]) for i in read}
    live = [i for i in read if known[i] is None]
    found = {}
    for i, values in known.items():
        if values is None:
            continue
        size = call.shape_in(i)
        axes = elements.varying(values) or range(len(size) - 1, -1, -1)
        made = [
            StandIn(of, axis, np.resize(values.ravel(), size[axis]))
            for axis in axes
            for of in live
            if _fits(call, i, of, axis)
        ]
        found.update({i: made[0]} if made else {})
    return found


def shape_giver(call):
    """Of which input the one output has its shape, if nothing else is wanted.

    The number of an input like the output, rather one that is not known;
    None if there is no such.
    """
    made = call.graph.tensors[call.node.outputs[0]]
    like = [
        i
        for i, tensor in enumerate(call.node.inputs)
        if call.graph.tensors[tensor].shape == made.shape
        and call.graph.tensors[tensor].dtype == made.dtype
    ]
    unknown = [i for i in like if np.isnan(call.constant[i]).any()]
    return next(iter(unknown + like), None)


def _known(call, i, need):
    """Float array of what is needed of an input; None if it is not known.

    One that takes two axes to lay out is not.
    """
    values = elements.compress(np.where(need, call.constant[i], 0.0))
    if np.isnan(values).any() or len(elements.varying(values)) > 1:
        return None
    if call.graph.couple and values.any():  # those are computed
        return None
    return values


def _fits(call, i, of, axis):
    """Whether an input has the output's sizes along all other axes."""
    mine, given = (call.graph.tensors[call.node.inputs[n]] for n in (i, of))
    shapes = [call.shape_in(i), call.shape_in(of), call.shape_out()]
    if len({len(shape) for shape in shapes}) > 1:
        return False
    return (
        mine.dtype == given.dtype
        and mine.shape[0] == given.shape[0]
        and None not in (shapes[0][axis], shapes[1][axis])
        and all(
            theirs == out and (theirs is not None or own in (None, 1))
            for at, (own, theirs, out) in enumerate(zip(*shapes, strict=True))
            if at != axis
        )
    )
