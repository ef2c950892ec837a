"""ChannelGather: picks channels by number."""

import numpy as np

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules import index_maps
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule


@rule(ChannelGather)
class Gather(Rule):
    """`ChannelGather`: new labels where that is possible.

    So a chain of gathers becomes one. Along one axis its index map is the
    layer's own: images are as large as they like.
    """

    barrier = None

    def axes(self, call, given):
        """Those of the input, and the one along which it picks."""
        return [given[0] | {self._axis(call) % len(call.shape_out())}]

    def tied(self, call, ties):
        """The same channels, picked."""
        return [self._picked(call, call.constant[0], 0)]

    def constant(self, call):
        """The constants, picked; and what the layer fills in."""
        fill = np.array(call.layer.fill, float)
        return [self._picked(call, call.constant[0], fill)]

    def needed(self, call):
        """The elements that live outputs are."""
        shape = call.shape_in()
        axis = self._axis(call) % len(shape)
        indices = np.array(call.layer.indices)
        alive = np.moveaxis(call.alive[0], axis, -1)
        alive = np.broadcast_to(alive, (*alive.shape[:-1], len(indices)))
        needed = np.zeros((*alive.shape[:-1], shape[axis]), bool)
        for place in np.flatnonzero(indices >= 0):
            needed[..., indices[place]] |= alive[..., place]
        return [elements.compress(np.moveaxis(needed, -1, axis))]

    def twin(self, call):
        """New labels, or else the layer with less to pick."""
        labels = self._labels(call, call.held[0])
        return labels or self._gathered(call)

    def _picked(self, call, array, fill):
        """An array of the input's elements as one of the output's."""
        axis, rank = self._axis(call) % array.ndim, array.ndim
        indices = np.array(call.layer.indices)
        if array.shape[axis] > 1:
            array = np.take(array, np.maximum(indices, 0), axis=axis)
        there = elements.along(indices >= 0, axis, rank)
        fill = elements.along(np.broadcast_to(fill, indices.shape), axis, rank)
        return elements.compress(np.where(there, array, fill))

    def _labels(self, call, have):
        """No layer: the picked channels under their numbers in the output.

        Not where two live outputs are the same input: it has one label only.
        """
        is_output = call.node.outputs[0] in call.graph.outputs
        axis, shape = self._axis(call), call.shape_in()
        indices = np.array(call.layer.indices)
        live = elements.vector(call.alive[0], axis, len(indices))
        indices = np.where(live & (indices >= 0), indices, -2)
        real = indices[indices >= 0]
        if is_output or len(np.unique(real)) < len(real):
            return None
        if not call.same_dtypes():
            return None
        layout = list(have)
        held = elements.indices(have, axis, shape)
        layout[axis] = elements.positions(held, indices)
        if not index_maps.covers(call.alive[0], layout, call.shape_out()):
            return None
        return Twin(None, [have], [tuple(layout)], gather_name=call.node.key)

    def _gathered(self, call):
        """The layer, its indices as they stand in the input there is."""
        axis, have = self._axis(call), self._filled(call)
        live = elements.vector(call.alive[0], axis, call.shape_out()[axis])
        kept = np.flatnonzero(live) if live.any() else np.array([0])
        taken = np.array(call.layer.indices)[kept]
        held = elements.indices(have, axis, call.shape_in())
        indices = elements.positions(taken, held)
        fill = np.broadcast_to(call.layer.fill, live.shape)[kept]
        missing = (indices < 0) & (taken >= 0)
        given = elements.common(call.constant[0], axis, call.shape_in()[axis])
        given = given[taken]
        indices = np.where(missing & np.isnan(given), 0, indices)
        fill = np.where(missing & ~np.isnan(given), given, fill)
        layer = clone(call.layer, indices=indices.tolist(), fill=fill.tolist())
        layout = list(have)
        layout[axis] = elements.held(kept, len(live))
        return Twin(layer, [have], [tuple(layout)])

    def _filled(self, call):
        """The layout held, and all that lives along the other axes."""
        layout, shape = list(call.held[0]), call.shape_in()
        own = self._axis(call) % len(shape)
        for axis, kept in enumerate(elements.hull(call.alive[0], shape)):
            if axis == own or layout[axis] is None:
                continue
            wanted = np.arange(shape[axis]) if kept is None else kept
            if not np.isin(wanted, layout[axis]).all():
                layout[axis] = kept
        return tuple(layout)

    def _axis(self, call):
        axis = call.layer.axis
        return axis - 1 if axis > 0 else axis
