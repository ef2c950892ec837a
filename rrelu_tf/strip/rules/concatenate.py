"""Concatenation along any axis, as a layer and as an operation."""

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule

_OPERATION = operation_class(
    ops.concatenate, [keras.KerasTensor((None, 1))] * 2, axis=-1
)
_HSTACK = operation_class(ops.hstack, [keras.KerasTensor((None, 1))] * 2)


@rule(layers.Concatenate, _OPERATION, _HSTACK)
class Concatenate(Rule):
    """Outputs are the inputs' elements; an input without live ones goes."""

    barrier = None

    def covers(self, call):
        """Known sizes along an axis that is not the batch."""
        sizes = [shape[self._axis(call)] for shape in self._shapes(call)]
        return self._counted(call) != 0 and None not in sizes

    def axes(self, call, given):
        """Those of any input."""
        return [set().union(*given)]

    def tied(self, call, ties):
        """The inputs' channels, side by side."""
        return self.constant(call)

    def constant(self, call):
        """The inputs' constants, side by side."""
        axis = self._axis(call)
        rest = np.broadcast_shapes(
            *(
                tuple(np.delete(constant.shape, axis))
                for constant in call.constant
            )
        )
        parts = []
        for constant, shape in zip(
            call.constant, self._shapes(call), strict=True
        ):
            full = list(rest)
            full.insert(axis % len(shape), shape[axis])
            parts.append(np.broadcast_to(constant, full))
        return [np.concatenate(parts, axis=axis)]

    def needed(self, call):
        """Each input's part; None for an input of which nothing is live."""
        parts = [part if part.any() else None for part in self._parts(call)]
        if not call.same_dtypes():
            return self._parts(call)
        if all(part is None for part in parts):  # only its shape is wanted
            parts[0] = self._parts(call)[0]
        return parts

    def twin(self, call):
        """What there is of each input, side by side."""
        axis = self._axis(call)
        common = elements.hull(call.alive[0], call.shape_out())
        inputs, held, start = [], [], 0
        for have, shape in zip(call.have, self._shapes(call), strict=True):
            if have is None:
                inputs.append(None)
            else:
                layout = list(common)
                layout[axis] = have[axis]
                inputs.append(tuple(layout))
                held.append(start + elements.indices(have, axis, shape))
            start += shape[axis]
        layout = list(common)
        layout[axis] = elements.held(np.concatenate(held), start)
        single = len(held) == 1
        layer = None if single else clone(call.layer)
        return Twin(layer, inputs, [tuple(layout)])

    def _axis(self, call):
        axis = self._counted(call)
        return axis - 1 if axis > 0 else axis

    def _counted(self, call):
        """The axis, the batch counted; that of `hstack` is 1."""
        return getattr(call.layer, "axis", 1)

    def _shapes(self, call):
        return [call.shape_in(i) for i in range(len(call.node.inputs))]

    def _parts(self, call):
        axis, size = self._axis(call), call.shape_out()[self._axis(call)]
        alive = call.alive[0]
        full = list(alive.shape)
        full[axis] = size
        widths = [shape[axis] for shape in self._shapes(call)]
        ends = np.cumsum(widths)[:-1]
        return np.split(np.broadcast_to(alive, full), ends, axis=axis)
