"""Normalisations that mix channels, and so hold them back."""

import keras
import numpy as np
from keras import layers

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.table import rule


@rule(layers.LayerNormalization, layers.RMSNormalization)
class Normalised(Rule):
    """Statistics over channels count every channel: a barrier.

    An output whose scale and offset are 0 is 0 all the same, and one whose
    scale is 0 is its offset.
    """

    barrier = "its statistics are taken over the channels"

    def covers(self, call):
        """One axis."""
        return len(_axes(call)) == 1 and len(call.node.inputs) == 1

    def constant(self, call):
        """The offset where the scale is 0."""
        layer, rank = call.layer, len(call.shape_out())
        gamma = getattr(layer, "gamma", getattr(layer, "scale", None))
        if not isinstance(gamma, keras.Variable):
            return super().constant(call)
        beta = getattr(layer, "beta", None)
        offset = 0.0 if beta is None else value(beta).astype("float64")
        made = np.where(value(gamma) == 0, offset, np.nan)
        return [elements.along(made, _axes(call)[0], rank)]


@rule(layers.UnitNormalization)
class Unit(Rule):
    """`x / |x|`: a zero adds nothing to the length, and stays zero."""

    barrier = "every channel that is not 0 is part of the length"

    def covers(self, call):
        """One input."""
        return len(call.node.inputs) == 1

    def tied(self, call, ties):
        """The same channels."""
        return [call.constant[0]]

    def constant(self, call):
        """Zeros."""
        return [np.where(call.constant[0] == 0, 0.0, np.nan)]

    def needed(self, call):
        """All along the normalised axes, where anything is live."""
        needed = call.alive[0]
        for axis in _axes(call):
            needed = needed.any(axis=axis, keepdims=True)
        return [needed]

    def twin(self, call):
        """The same layer over what is needed, and not 0."""
        wanted = self.needed(call)[0] & (call.constant[0] != 0)
        layout = elements.hull(wanted, call.shape_in())
        return Twin(clone(call.layer), [layout], [layout])


@rule(layers.GroupNormalization)
class GroupNorm(Rule):
    """Statistics over each group of channels: whole groups come and go."""

    barrier = "its statistics are taken over each group of channels"

    def covers(self, call):
        """One input, of known channels."""
        return len(call.node.inputs) == 1

    def tied(self, call, ties):
        """The same channels, each group of them tied."""
        axis = _axes(call)[0]
        size = call.shape_in()[axis]
        numbers = elements.common(call.constant[0], axis, size)
        groups = np.nan_to_num(numbers).reshape(call.layer.groups, -1)
        ties.join(groups.T)
        return [call.constant[0]]

    def constant(self, call):
        """beta where gamma is 0, or where the whole group is constant."""
        layer, size = call.layer, call.shape_in()[_axes(call)[0]]
        known = elements.common(call.constant[0], _axes(call)[0], size)
        groups = known.reshape(layer.groups, -1)
        still = groups.min(axis=1) == groups.max(axis=1)
        still = np.repeat(still, groups.shape[1])
        if layer.scale:
            still = still | (value(layer.gamma) == 0)
        beta = value(layer.beta) if layer.center else np.zeros(size)
        return [self._spread(call, np.where(still, beta, np.nan))]

    def needed(self, call):
        """Whole groups of which anything is live."""
        return [self._spread(call, np.repeat(*self._groups(call)))]

    def twin(self, call):
        """The same layer over the groups that are left."""
        layer, axis = call.layer, _axes(call)[0]
        groups, width = self._groups(call)
        groups = groups if groups.any() else np.arange(len(groups)) == 0
        kept = np.flatnonzero(np.repeat(groups, width))
        layout = elements.only(axis, kept, call.shape_in())
        weights = {
            name: value(variable)[kept]
            for name in ("gamma", "beta")
            if (variable := getattr(layer, name)) is not None
        }
        narrow = clone(layer, groups=int(groups.sum()))
        return Twin(narrow, [layout], [layout], weights)

    def _groups(self, call):
        """bool (groups,): live ones; and channels in each."""
        axis, groups = _axes(call)[0], call.layer.groups
        size = call.shape_in()[axis]
        alive = elements.vector(call.alive[0], axis, size)
        return alive.reshape(groups, -1).any(axis=1), size // groups

    def _spread(self, call, channels):
        return elements.along(channels, _axes(call)[0], len(call.shape_in()))


def _axes(call):
    """The normalised axes, not counting the batch."""
    axes = call.layer.axis
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    return [axis - 1 if axis > 0 else axis for axis in axes]
