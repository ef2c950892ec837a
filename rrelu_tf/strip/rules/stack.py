"""Tensors side by side along a new axis."""

import keras
import numpy as np
from keras import ops

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule


@rule(operation_class(ops.stack, [keras.KerasTensor((None, 1))] * 2, axis=-1))
class Stack(Rule):
    """`keras.ops.stack`: all inputs stay, as wide as any of them has to be."""

    barrier = None

    def covers(self, call):
        """Not along the batch."""
        return call.layer.axis % (len(call.shape_out()) + 1) != 0

    def axes(self, call, given):
        """Those of any input; the new one stays whole."""
        new = self._axis(call)
        return [{axis + (axis >= new) for axes in given for axis in axes}]

    def tied(self, call, ties):
        """What lies at the same place stays or goes together."""
        met = ties.join(call.constant)
        return [np.expand_dims(met, self._axis(call))]

    def constant(self, call):
        """The inputs' constants, side by side."""
        values = np.broadcast_arrays(*call.constant)
        return [np.stack(values, axis=self._axis(call))]

    def needed(self, call):
        """Each input's part."""
        axis, count = self._axis(call), len(call.node.inputs)
        alive = call.alive[0]
        full = list(alive.shape)
        full[axis] = count
        alive = np.broadcast_to(alive, full)
        return [alive.take(i, axis=axis) for i in range(count)]

    def twin(self, call):
        """The same over the smallest layout that holds what lives of each."""
        axis = self._axis(call)
        layout = list(elements.hull(call.alive[0], call.shape_out()))
        layout[axis] = None
        part = tuple(layout[:axis] + layout[axis + 1 :])
        inputs = [part] * len(call.node.inputs)
        return Twin(clone(call.layer), inputs, [tuple(layout)])

    def _axis(self, call):
        return call.layer.axis % (len(call.shape_out()) + 1) - 1
