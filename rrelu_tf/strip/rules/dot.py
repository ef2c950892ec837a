"""Dot: the inner product of two inputs along an axis of each."""

import keras
import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule


@rule(keras.layers.Dot)
class Dot(Rule):
    """`Dot`: where one factor is 0 the other is not needed."""

    barrier = None

    def covers(self, call):
        """Not over the batch; axes of a known size."""
        sizes = [
            call.shape_in(i)[axis] for i, axis in enumerate(self._axes(call))
        ]
        return (
            None not in sizes
            and all(axis >= 0 for axis in self._axes(call))
            and len(call.shape_out()) == max(1, self._free(call))
        )

    def constant(self, call):
        """0 where no product can differ from 0."""
        x, y = self._factors(call, [c != 0 for c in call.constant])
        reached = np.tensordot(x, y, axes=[-1, -1]) > 0
        made = np.where(reached, np.nan, 0.0)
        return [made.reshape(made.shape or (1,))]

    def needed(self, call):
        """What meets a factor that is not 0, for a live output."""
        present = [constant != 0 for constant in call.constant]
        if call.layer.normalize:  # all of them make the length
            return present
        x, y = self._factors(call, present)
        alive = call.alive[0] if self._free(call) else call.alive[0].any()
        split, rest = x.ndim - 1, y.ndim - 1
        free = np.broadcast_shapes(alive.shape, x.shape[:-1] + y.shape[:-1])
        alive = np.broadcast_to(alive, free)
        x = np.broadcast_to(x, (*free[:split], x.shape[-1]))
        y = np.broadcast_to(y, (*free[split:], y.shape[-1]))
        for_x = np.tensordot(
            alive.astype("float32"),
            y,
            axes=[range(split, split + rest), range(rest)],
        )
        for_y = np.tensordot(
            alive.astype("float32"), x, axes=[range(split), range(split)]
        )
        return [
            np.moveaxis(found > 0, -1, axis)
            for found, axis in zip(
                (for_x, for_y), self._axes(call), strict=True
            )
        ]

    def twin(self, call):
        """The same product over what both need."""
        outputs = elements.hull(call.alive[0], call.shape_out())
        axes = self._axes(call)
        both = np.zeros(call.shape_in()[axes[0]], bool)
        for need, constant, axis in zip(
            self.needed(call), call.constant, axes, strict=True
        ):
            both |= elements.vector(need & (constant != 0), axis, len(both))
        kept = np.flatnonzero(both) if both.any() else np.array([0])
        inputs, rest = [], list(outputs) if self._free(call) else []
        for i, axis in enumerate(axes):
            size = len(call.shape_in(i)) - 1
            layout, rest = rest[:size], rest[size:]
            layout.insert(axis, elements.held(kept, len(both)))
            inputs.append(tuple(layout))
        return Twin(clone(call.layer), inputs, [outputs])

    def _free(self, call):
        """Axes of the inputs that are not summed."""
        return sum(len(call.shape_in(i)) - 1 for i in range(2))

    def _axes(self, call):
        """The summed axis of each input, not counting the batch."""
        axes = call.layer.axes
        axes = (axes, axes) if isinstance(axes, int) else axes
        return [
            axis % (len(call.shape_in(i)) + 1) - 1
            for i, axis in enumerate(axes)
        ]

    def _factors(self, call, arrays):
        """float32 arrays, the summed axis last and both of its full size."""
        size = call.shape_in()[self._axes(call)[0]]
        for array, axis in zip(arrays, self._axes(call), strict=True):
            array = np.moveaxis(array, axis, -1)
            yield np.broadcast_to(array, (*array.shape[:-1], size)).astype(
                "float32"
            )
