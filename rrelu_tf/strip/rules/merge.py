"""Layers and `keras.ops` that join several inputs element by element."""

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.stand_ins import shape_giver, stand_ins
from rrelu_tf.strip.rules.table import enter


class Merge(Rule):
    """An element-wise function of several operands, which may broadcast.

    Operands are tensors, arrays and numbers. Known operands give a known
    element, and so does one factor of 0.

    Args:
        function: of two float arrays; NaN in gives NaN out.
        absorbing: an operand that makes the output 0 on its own, or None.
        neutral: an operand that leaves the others as they are, or None.
        ordered: whether it does not do so as the first.
    """

    aligned = True
    barrier = None
    widens = "another of its inputs has them"

    def __init__(
        self, function, absorbing=None, neutral=None, *, ordered=False
    ):
        self._function = function
        self._absorbing = absorbing
        self._neutral = neutral
        self._ordered = ordered

    def covers(self, call):
        """Shapes that broadcast once the batch is left out."""
        shapes = [call.shape_in(i) for i in range(len(call.node.inputs))]
        operation = not isinstance(call.layer, layers.Layer)
        ranks = {len(shape) for shape in shapes}
        arrays = [np.shape(array) for array in call.node.constants]
        rank = len(call.shape_out())
        fitting = all(
            len(shape) <= rank or (len(shape) == rank + 1 and shape[0] == 1)
            for shape in arrays
        ) and not any(_looks_like_a_bias(shape) for shape in arrays)
        # `keras.ops` would lay another rank's batch along a channel axis.
        return fitting and not (operation and ranks != {rank})

    def axes(self, call, given):
        """Those of any input."""
        rank = len(call.shape_out())
        lack = [rank - len(call.shape_in(i)) for i in range(len(given))]
        return [
            {
                axis + n
                for axes, n in zip(given, lack, strict=True)
                for axis in axes
            }
        ]

    def tied(self, call, ties):
        """What meets is the same channel."""
        rank = len(call.shape_out())
        met = ties.join(call.constant)
        return [met.reshape((1,) * (rank - met.ndim) + met.shape)]

    def constant(self, call):
        """The function of known operands."""
        operands = self._operands(call)
        made = self._folded(operands)
        if self._absorbing is not None:
            for operand in operands:
                made = np.where(operand == self._absorbing, 0.0, made)
        rank = len(call.shape_out())
        made = made.reshape((1,) * (rank - made.ndim) + made.shape)
        return [np.where(np.isfinite(made), made, np.nan)]

    def needed(self, call):
        """The same elements of every input that is to be there."""
        known = stand_ins(call, self._read(call))
        return [
            None if i in known else need
            for i, need in enumerate(self._read(call))
        ]

    def twin(self, call):
        """The same layer over what is live; gone if one operand is left."""
        read = self._read(call)
        known = stand_ins(call, read)
        layout = elements.hull(call.alive[0], call.shape_out())
        inputs = []
        for i, need in enumerate(read):
            part = None
            if need is not None:
                part = _part(layout, call.shape_in(i))
                part = known[i].narrowed(part) if i in known else part
            inputs.append(part)
        constants = {
            at: _slice(value(array), layout)
            for at, array in enumerate(call.node.constants)
        }
        passing = None in inputs and len(inputs) - inputs.count(None) == 1
        return Twin(
            None if passing else clone(call.layer),
            inputs,
            [layout],
            constants=constants,
            order=self._order(call, layout),
        )

    def _order(self, call, layout):
        """Operands of a sum with one number an example first.

        Behind others, Keras 3.15's eager `add` takes it for a bias, its batch
        for channels, where that is as long as the other's axis.
        """
        if self._function is not np.add or not self._only_tensors(call):
            return None
        numbers = range(len(call.node.inputs))
        return sorted(numbers, key=lambda i: not _becomes_one(call, i, layout))

    def _read(self, call):
        """Per input, bool array: needed, if need be as a stand-in.

        None for an operand that does nothing, as a 0 to a sum; where nothing
        is live, for all but one that gives the shape.
        """
        alive, count = call.alive[0], len(call.node.inputs)
        needed = [elements.fit(alive, call.shape_in(i)) for i in range(count)]
        if not alive.any():
            read = {shape_giver(call)}
        else:
            read = self._effective(call, needed)
        if read == {None}:
            return needed
        return [needed[i] if i in read else None for i in range(count)]

    def _effective(self, call, needed):
        """Numbers of the inputs without the neutral; one at the least."""
        every = set(range(len(needed)))
        ranks = {len(call.shape_in(i)) for i in every}
        if self._neutral is None or not (
            call.same_dtypes()
            and ranks == {len(call.shape_out())}
            and self._only_tensors(call)
        ):
            return every
        read = {
            i
            for i, need in enumerate(needed)
            if (self._ordered and i == 0)
            or (need & (call.constant[i] != self._neutral)).any()
        }
        like = {i for i in every if call.shape_in(i) == call.shape_out()}
        if like & read:
            return read
        return {min(like)} if like and not read else every

    def _only_tensors(self, call):
        if isinstance(call.layer, layers.Layer):
            return True
        return all(kind == "tensor" for kind, _ in call.node.operands())

    def _operands(self, call):
        """Float arrays in the order of the call, batches left out."""
        if isinstance(call.layer, layers.Layer):
            return call.constant
        rank = len(call.shape_out())
        known = {
            "tensor": lambda at: call.constant[at],
            "array": lambda at: _batchless(call.node.constants[at], rank),
            "scalar": lambda number: np.float64(number),
        }
        return [known[kind](given) for kind, given in call.node.operands()]

    def _folded(self, operands):
        with np.errstate(all="ignore"):
            made = operands[0]
            for operand in operands[1:]:
                made = self._function(made, operand)
        return np.asarray(made)


class Average(Merge):
    """The mean of the inputs."""

    def _folded(self, operands):
        return super()._folded(operands) / len(operands)


def _becomes_one(call, i, layout):
    """Whether narrowing leaves one number an example of an operand."""
    shape = call.shape_in(i)
    part = _part(layout, shape)
    sizes = [
        size if kept is None else len(kept)
        for size, kept in zip(shape, part, strict=True)
    ]
    return set(sizes) == {1} != set(shape)


def _looks_like_a_bias(shape):
    """Whether Keras's add may lay an array along another axis than its own.

    It takes an array with one size above 1 for a bias along the last axis
    wherever that size fits there.
    """
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    return len(axes) == 1 and axes[0] != len(shape) - 1


def _batchless(array, rank):
    array = value(array).astype("float64")
    return array[0] if array.ndim > rank else array


def _part(layout, shape):
    """A layout's axes that an input of this shape has itself."""
    layout = layout[len(layout) - len(shape) :]
    return tuple(
        None if size == 1 else kept
        for kept, size in zip(layout, shape, strict=True)
    )


def _slice(array, layout):
    """The part of a constant operand that belongs to a layout."""
    layout = (None, *layout)
    return elements.take(array, layout[len(layout) - array.ndim :])


_PAIR = (keras.KerasTensor((None, 1)), keras.KerasTensor((None, 1)))

enter(Merge(np.add, neutral=0.0), layers.Add, operation_class(ops.add, *_PAIR))
enter(
    Merge(np.multiply, absorbing=0.0, neutral=1.0),
    layers.Multiply,
    operation_class(ops.multiply, *_PAIR),
)
enter(
    Merge(np.subtract, neutral=0.0, ordered=True),
    layers.Subtract,
    operation_class(ops.subtract, *_PAIR),
)
enter(Merge(np.maximum), layers.Maximum, operation_class(ops.maximum, *_PAIR))
enter(Merge(np.minimum), layers.Minimum, operation_class(ops.minimum, *_PAIR))
enter(Average(np.add), layers.Average)
enter(
    Merge(np.divide, neutral=1.0, ordered=True),
    operation_class(ops.divide, *_PAIR),
    operation_class(ops.true_divide, *_PAIR),
)
