"""Rebuilt tensors, and how a reader gets the layout that it wants."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip import elements
from rrelu_tf.strip.graph import Node, maker_name


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """A tensor of the new model and the layout of what it holds.

    `maker` is the source's node that makes it, None for an input.
    """

    tensor: Any
    holds: tuple
    maker: Node | None = None
    gather_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Kept:
    """Which channels of the source a layer of the new model holds.

    Attributes:
        maker: key of the source's layer that makes them; None for a gather
            from an input, or along another axis.
        axis: where they lie, not counting the batch.
        channels: their indices; a range for all of them.
    """

    maker: str | None
    axis: int
    channels: Sequence[int]


class Alignment:
    """The tensors of the new model, by their numbers in the source.

    Attributes:
        rebuilt: number -> `Rebuilt`.
        kept: name of a layer or gather -> `Kept`.
    """

    def __init__(self, graph, live):
        self.rebuilt = {}
        self.kept = {}
        self._graph = graph
        self._live = live
        self._gathered = {}
        self._names = {
            node.key
            for node in graph.nodes
            if any(live.read[tensor] for tensor in node.outputs)
        }

    def start(self, tensor, fresh, layout):
        """Notes an input of the model."""
        self.rebuilt[tensor] = Rebuilt(fresh, layout)
        self._names.add(fresh.name)

    def add(self, node, tensors, twin):
        """Notes what a node's twin made."""
        for number, tensor, holds in zip(
            node.outputs, tensors, twin.outputs, strict=True
        ):
            self.rebuilt[number] = Rebuilt(
                tensor,
                self._truthful(number, holds),
                node,
                twin.gather_name,
            )

    def _truthful(self, tensor, holds):
        """The layout without the claim to a number that is not computed.

        What is there for the shape only may be anything.
        """
        if self._live.alive[tensor].any():
            return holds
        shape, axes = self._graph.shape(tensor), self._telling(tensor)
        return tuple(
            np.full(len(elements.indices(holds, axis, shape)), -1)
            if axis in axes and shape[axis] is not None
            else kept
            for axis, kept in enumerate(holds)
        )

    def known(self, tensor, held):
        """The part of a layout that readers know; one index at the least."""
        shape = self._graph.shape(tensor)
        layout = []
        for axis, kept in enumerate(held):
            if kept is not None:
                kept = kept[kept >= 0]
                kept = kept if kept.size else np.array([0])
                kept = elements.held(kept, shape[axis])
            layout.append(kept)
        return tuple(layout)

    def holds(self, tensor, need):
        """The layout of a tensor, or what `align` makes of it for nothing.

        Along an axis where a constant is the same, any index is as good.
        """
        shape, told = self._graph.shape(tensor), self._telling(tensor)
        wanted = elements.hull(need, shape)
        return tuple(
            kept if kept is None or axis in told else wanted[axis]
            for axis, kept in enumerate(self.rebuilt[tensor].holds)
        )

    def record(self, name, node, layout):
        """Notes which channels of a node's first output a layer holds."""
        axis = self._channel_axis(node) if layout else 0
        if not layout or layout[axis] is None:
            shape = self._graph.shape(node.outputs[0])
            channels = range((shape and shape[axis]) or 1)
        else:
            channels = [int(channel) for channel in layout[axis]]
        self.kept[name] = Kept(node.key, axis, channels)

    def _channel_axis(self, node):
        """The axis of a node's channels; what can get narrower if one can."""
        axis = self._graph.channel_axis(node)
        axis %= len(self._graph.shape(node.outputs[0]))
        axes = self._live.axes[node.outputs[0]]
        return axis if axis in axes or len(axes) != 1 else next(iter(axes))

    def free(self, name):
        """Lets a name be taken again."""
        self._names.discard(name)

    def align(self, tensor, want, reader):
        """The rebuilt tensor in just the layout wanted."""
        made, shape = self.rebuilt[tensor].tensor, self._graph.shape(tensor)
        constant = self._live.constant[tensor]
        told = self._telling(tensor)
        for axis, wanted, held in self._differing(tensor, want):
            if axis not in told:  # the same all along
                made = self._resize(tensor, made, axis, wanted, held, reader)
                continue
            indices = elements.positions(wanted, held)
            missing = (indices < 0) & (wanted >= 0)
            value = elements.common(constant, axis, shape[axis])
            # What is no single number here is wanted for the shape alone.
            fill = np.where(missing, np.nan_to_num(value)[wanted], 0.0)
            made = self._gather(tensor, made, axis, indices, fill, reader)
            self._record_gather(made, tensor, axis, wanted)
        return made

    def shape(self, tensor, want, reader):
        """The rebuilt tensor in the sizes wanted: nobody reads the numbers."""
        made = self.rebuilt[tensor].tensor
        for axis, wanted, held in self._differing(tensor, want):
            made = self._resize(tensor, made, axis, wanted, held, reader)
        return made

    def _telling(self, tensor):
        """Axes along which it matters which indices are held."""
        rank = len(self._graph.shape(tensor))
        constant = self._live.constant[tensor]
        # A nested model computes no constants, whoever wants them outside.
        if self._live.alive[tensor].any() and np.isnan(constant).any():
            return set(range(rank))
        return elements.varying(constant) or {rank - 1}

    def _resize(self, tensor, made, axis, wanted, held, reader):
        """As many indices along an axis as are wanted, whichever is known."""
        every = np.arange(len(held))
        known = every[held >= 0] if self._live.alive[tensor].any() else every
        places = known if known.size else every
        indices = places[np.minimum(np.arange(len(wanted)), len(places) - 1)]
        if np.array_equal(indices, every):
            return made
        fill = np.zeros(len(indices))
        made = self._gather(tensor, made, axis, indices, fill, reader)
        self._record_gather(made, tensor, axis, wanted)
        return made

    def _differing(self, tensor, want):
        """(axis, indices wanted, indices held) where they are not the same."""
        holds, shape = self.rebuilt[tensor].holds, self._graph.shape(tensor)
        for axis in range(len(shape)):
            if want[axis] is None and holds[axis] is None:
                continue
            wanted = elements.indices(want, axis, shape)
            held = elements.indices(holds, axis, shape)
            if len(wanted) != len(held) or np.any(
                (wanted != held) & (wanted >= 0)
            ):
                yield axis, wanted, held

    def _gather(self, tensor, made, axis, indices, fill, reader):
        """Channels picked along an axis, or filled in where the index is -1.

        Readers that want the same share one gather.
        """
        name = self.rebuilt[tensor].gather_name or f"{reader}_gather"
        return self._pick(made, axis, indices, fill, name)

    def fill(self, made, wanted, reader):
        """A `StandIn` laid over a tensor."""
        count = len(wanted.fill)
        indices, name = np.full(count, -1), f"{reader}_gather"
        made = self._pick(made, wanted.axis, indices, wanted.fill, name)
        self.kept[maker_name(made)] = Kept(None, wanted.axis, [-1] * count)
        return made

    def _pick(self, made, axis, indices, fill, name):
        at = (id(made), axis, tuple(indices.tolist()), tuple(fill.tolist()))
        if at not in self._gathered:
            gather = ChannelGather(
                indices.tolist(),
                axis=-1 if axis == len(made.shape) - 2 else axis + 1,
                fill=fill.tolist(),
                name=self.free_name(name),
                dtype=made.dtype,
            )
            self._gathered[at] = gather(made)
        return self._gathered[at]

    def _record_gather(self, made, tensor, axis, wanted):
        """Notes what a gather holds: of the layer whose channels it picks."""
        maker = self.rebuilt[tensor].maker
        first = maker and maker.outputs[0] == tensor  # `record` tells of it
        if not first or self._channel_axis(maker) != axis:
            maker = None
        channels = [int(channel) for channel in wanted]
        self.kept[maker_name(made)] = Kept(maker and maker.key, axis, channels)

    def free_name(self, name):
        """The name, or with a number if it is taken."""
        number = 1
        free = name
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free
