"""Rebuilt tensors, and how a reader gets the layout that it wants."""

import dataclasses
from typing import Any

import numpy as np

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip import elements
from rrelu_tf.strip.graph import maker_name


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """A tensor of the new model and the layout of what it holds.

    `maker` is the key of the source's node that makes it.
    """

    tensor: Any
    holds: tuple
    maker: str | None = None
    gather_name: str | None = None


class Alignment:
    """The tensors of the new model, by their numbers in the source.

    Attributes:
        rebuilt: number -> `Rebuilt`.
        kept: name of a layer or gather -> (key of the source's layer that
            makes its channels, the channels), as `rrelu_tf.kept` tells them.
    """

    def __init__(self, graph, live):
        self.rebuilt = {}
        self.kept = {}
        self._graph = graph
        self._live = live
        self._gathered = {}
        self._names = {node.key for node in graph.nodes}

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
                node.key,
                twin.gather_name,
            )

    def _truthful(self, tensor, holds):
        """The layout without the claim to a number that is not computed.

        What is there for the shape only may be anything. A 0 is a 0.
        """
        constant = self._live.constant[tensor]
        if self._live.alive[tensor].any() or not (np.abs(constant) > 0).any():
            return holds
        shape = self._graph.shape(tensor)
        axes = elements.varying(constant) or {len(holds) - 1}
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

    def record(self, name, maker, tensor, layout):
        """Notes what a layer holds, along the axis that is narrowed."""
        shape = self._graph.shape(tensor)
        axes = [axis for axis, kept in enumerate(layout) if kept is not None]
        if axes:
            channels = [int(channel) for channel in layout[axes[-1]]]
        else:
            channels = range((shape and shape[-1]) or 1)
        self.kept[name] = (maker, channels)

    def free(self, name):
        """Lets a name be taken again."""
        self._names.discard(name)

    def align(self, tensor, want, reader):
        """The rebuilt tensor in just the layout wanted."""
        made, shape = self.rebuilt[tensor].tensor, self._graph.shape(tensor)
        for axis, wanted, held in self._differing(tensor, want):
            indices = elements.positions(wanted, held)
            value = elements.common(
                self._live.constant[tensor], axis, shape[axis]
            )
            missing = (indices < 0) & (wanted >= 0)
            fill = np.where(missing, np.nan_to_num(value)[wanted], 0.0)
            made = self._gather(tensor, made, axis, indices, fill, reader)
            self._record_gather(made, tensor, axis, wanted)
        return made

    def shape(self, tensor, want, reader):
        """The rebuilt tensor in the sizes wanted: nobody reads the numbers."""
        made = self.rebuilt[tensor].tensor
        for axis, wanted, held in self._differing(tensor, want):
            if len(wanted) != len(held):
                indices = np.arange(len(wanted))
                indices[indices >= len(held)] = -1
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
        have, rank = self.rebuilt[tensor], len(self._graph.shape(tensor))
        at = (id(made), axis, tuple(indices.tolist()), tuple(fill.tolist()))
        if at not in self._gathered:
            gather = ChannelGather(
                indices.tolist(),
                axis=-1 if axis == rank - 1 else axis + 1,
                fill=fill.tolist(),
                name=self.free_name(have.gather_name or f"{reader}_gather"),
                dtype=made.dtype,
            )
            self._gathered[at] = gather(made)
        return self._gathered[at]

    def _record_gather(self, made, tensor, axis, wanted):
        """Notes what a gather holds, under its own name."""
        name = maker_name(made)
        layout = elements.only(axis, wanted, self._graph.shape(tensor))
        maker = self.rebuilt[tensor].maker or name
        self.record(name, maker, tensor, layout)

    def free_name(self, name):
        """The name, or with a number if it is taken."""
        number = 1
        free = name
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free
