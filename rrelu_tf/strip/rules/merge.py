"""Layers and `keras.ops` that join several inputs element by element."""

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.table import enter


class Merge(Rule):
    """An element-wise function of several operands, which may broadcast.

    Operands are tensors, arrays and numbers. Known operands give a known
    element, and so does one factor of 0.

    Args:
        function: of two float arrays; NaN in gives NaN out.
        absorbing: an operand that makes the output 0 on its own, or None.
        neutral: whether an operand that is wholly 0 need not be read.
    """

    aligned = True
    barrier = None
    widens = "another of its inputs has them"

    def __init__(self, function, absorbing=None, neutral=False):
        self._function = function
        self._absorbing = absorbing
        self._neutral = neutral

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
        """The same elements of every input, but for inputs of zeros."""
        alive = call.alive[0]
        needed = [
            elements.fit(alive, call.shape_in(i))
            for i in range(len(call.node.inputs))
        ]
        read = self._read(call, needed)
        return [
            need if is_read else None
            for need, is_read in zip(needed, read, strict=True)
        ]

    def twin(self, call):
        """The same layer over what is live; gone if one operand is left."""
        layout = elements.hull(call.alive[0], call.shape_out())
        inputs = [
            None if have is None else _part(layout, call.shape_in(i))
            for i, have in enumerate(call.have)
        ]
        single = sum(have is not None for have in call.have) == 1
        passing = single and None in call.have
        constants = {
            at: _slice(value(array), layout)
            for at, array in enumerate(call.node.constants)
        }
        layer = None if passing else clone(call.layer)
        return Twin(layer, inputs, [layout], constants=constants)

    def _read(self, call, needed):
        """Which inputs are read: all, unless zeros are neutral."""
        count = len(needed)
        shapes = [call.shape_in(i) for i in range(count)]
        plain = call.same_dtypes() and set(shapes) == {call.shape_out()}
        if not (self._neutral and plain and self._only_tensors(call)):
            return [True] * count
        read = [
            bool((need & (constant != 0)).any())
            for need, constant in zip(needed, call.constant, strict=True)
        ]
        return read if any(read) else [True, *[False] * (count - 1)]

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

enter(Merge(np.add, neutral=True), layers.Add, operation_class(ops.add, *_PAIR))
enter(
    Merge(np.multiply, absorbing=0.0),
    layers.Multiply,
    operation_class(ops.multiply, *_PAIR),
)
enter(
    Merge(np.subtract),
    layers.Subtract,
    operation_class(ops.subtract, *_PAIR),
)
enter(Merge(np.maximum), layers.Maximum, operation_class(ops.maximum, *_PAIR))
enter(Merge(np.minimum), layers.Minimum, operation_class(ops.minimum, *_PAIR))
enter(Average(np.add), layers.Average)
enter(
    Merge(np.divide),
    operation_class(ops.divide, *_PAIR),
    operation_class(ops.true_divide, *_PAIR),
)
