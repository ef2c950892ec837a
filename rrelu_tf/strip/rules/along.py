"""What mixes along some axes and keeps all else apart: softmax, means, sums."""

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import enter, rule


class Along(Rule):
    """Outputs depend on all inputs along the layer's axes, and on no others.

    So channels that lie along another axis pass, and along these none does.
    """

    aligned = True
    barrier = None

    def covers(self, call):
        """One input; axes that are told, and not the batch."""
        axes = self.mixed(call)
        return len(call.node.inputs) == 1 and axes is not None and 0 not in axes

    def mixed(self, call):
        """The axes, the batch counted, in order; None if it is all of them."""
        axes, rank = call.layer.axis, 1 + len(call.shape_in())
        if axes is None:
            return None
        axes = axes if isinstance(axes, (list, tuple)) else [axes]
        return sorted({int(axis) % rank for axis in axes})

    def barring(self, call):
        """Where the channels' axis is among them."""
        last = len(call.shape_in())
        return self.reason if last in self.mixed(call) else None

    def within(self, call):
        """The same axes, the batch left out."""
        return tuple(axis - 1 for axis in self.mixed(call))


@rule(
    layers.Softmax,
    *(
        operation_class(function, keras.KerasTensor((None, 2)))
        for function in (ops.softmax, ops.log_softmax, ops.sparsemax)
    ),
)
class Softmax(Along):
    """Softmax: e^0 = 1 takes its share of the sum along its axes."""

    reason = "softmax shares its sum over channels"

    def axes(self, call, given):
        """Those of the input."""
        return given

    def tied(self, call, ties):
        """The same channels, but for those that it mixes."""
        numbers = call.constant[0]
        mixes = elements.varying(numbers) & set(self.within(call))
        return [None if mixes else numbers]

    def constant(self, call):
        """What becomes of rows all of whose numbers are known."""
        values, axes = call.constant[0], self.within(call)
        full = list(values.shape)
        for axis in axes:
            full[axis] = call.shape_in()[axis]
        known = ~np.isnan(values).any(axis=axes, keepdims=True)
        if None in full or not known.any():
            return super().constant(call)
        given = np.broadcast_to(np.nan_to_num(values), full)
        is_layer = isinstance(call.layer, layers.Layer)
        options = {"dtype": "float64"} if is_layer else {}
        tensor = ops.convert_to_tensor(given[None], "float64")
        (made,) = call.node.call(clone(call.layer, **options), [tensor])
        made = ops.convert_to_numpy(made)[0]
        return [np.where(known & np.isfinite(made), made, np.nan)]

    def needed(self, call):
        """All along the mixed axes, where anything is live."""
        return [call.alive[0].any(axis=self.within(call), keepdims=True)]

    def twin(self, call):
        """The same layer, whole along the mixed axes."""
        layout = list(elements.hull(call.alive[0], call.shape_out()))
        for axis in self.within(call):
            layout[axis] = None
        return Twin(clone(call.layer), [tuple(layout)], [tuple(layout)])


class Reduction(Along):
    """One number from all along the axes.

    Args:
        keeps: of what it makes the same again, if that is the same all along:
            of any number, or of 0 only; else of nothing.
    """

    reason = "it makes one number of all channels"

    def __init__(self, keeps=None):
        self._keeps = keeps

    def covers(self, call):
        """No start value."""
        initial = getattr(call.layer, "initial", None)
        return initial is None and super().covers(call)

    def axes(self, call, given):
        """Those of the input that are left, as they are counted then."""
        mixed = self.within(call)
        left = given[0] - set(mixed)
        if call.layer.keepdims:
            return [left]
        return [{axis - sum(gone < axis for gone in mixed) for axis in left}]

    def tied(self, call, ties):
        """The same channels, but for those that it mixes."""
        numbers = call.constant[0]
        mixes = elements.varying(numbers) & set(self.within(call))
        return [None if mixes else self._left(call, numbers)]

    def constant(self, call):
        """Numbers that are the same all along, where it keeps such."""
        values, axes = call.constant[0], self.within(call)
        low = values.min(axis=axes, keepdims=True)
        high = values.max(axis=axes, keepdims=True)
        kept = {"all": low == high, "zero": (low == 0) & (high == 0)}
        same = kept.get(self._keeps, np.zeros_like(low, bool))
        return [self._left(call, np.where(same, low, np.nan))]

    def needed(self, call):
        """All along the axes, where the number is live."""
        alive = call.alive[0]
        if not call.layer.keepdims:
            alive = np.expand_dims(alive, self.within(call))
        return [alive]

    def twin(self, call):
        """The same, whole along the axes."""
        layout = elements.hull(call.alive[0], call.shape_out())
        given = list(layout)
        for axis in self.within(call):
            if call.layer.keepdims:
                given[axis] = None
            else:
                given.insert(axis, None)
        return Twin(clone(call.layer), [tuple(given)], [layout])

    def _left(self, call, array):
        """An array of size 1 along the axes without them, if they go."""
        if call.layer.keepdims:
            return array
        return np.squeeze(array, self.within(call))


def _classes(*functions):
    tensor = keras.KerasTensor((None, 2, 2))
    return {operation_class(made, tensor, axis=1) for made in functions}


enter(
    Reduction(keeps="all"),
    *_classes(ops.mean, ops.max, ops.min, ops.amax, ops.amin),
)
enter(Reduction(keeps="zero"), *_classes(ops.sum, ops.prod, ops.std, ops.var))
enter(Reduction(), *_classes(ops.logsumexp))
