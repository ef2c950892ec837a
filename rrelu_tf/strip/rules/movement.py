"""Layers and `keras.ops` that move elements about: found by trying.

Each output is one input element, or a constant. Which one, the layer itself
tells: it is run on the elements' numbers. So one rule serves reshapes,
transposes, slices, splits, repeats and pads, whatever their arguments mean.
"""

import math

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules import index_maps
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule

# More elements than this are not numbered: the layer is opaque.
_MOST = 2**24


class Movement(Rule):
    """Each output element is one input element, or a constant."""

    barrier = None
    widens = "it moves them together with others"

    def covers(self, call):
        """What the trial shows to be a movement within each example."""
        sizes = [size or 1 for size in call.shape_in()]
        return (
            len(call.node.inputs) == 1
            and math.prod(sizes) <= _MOST
            and self._sources(call) is not None
        )

    def axes(self, call, given):
        """Axes along which an output's place in those of the input changes."""
        shape, found = _known(call.shape_in()), []
        for source in self._sources(call):
            where = np.unravel_index(np.maximum(source, 0), shape or (1,))
            where = [where[axis] for axis in given[0]]
            found.append(
                {
                    axis
                    for axis in range(source.ndim)
                    if any(np.diff(x, axis=axis).any() for x in where)
                }
            )
        return found

    def tied(self, call, ties):
        """The same channels, moved."""
        shape = _known(call.shape_in())
        given = np.broadcast_to(call.constant[0], shape).ravel()
        return [
            elements.compress(np.where(source >= 0, given[source], 0.0))
            for source in self._sources(call)
        ]

    def constant(self, call):
        """The constants, moved; and what the layer puts in."""
        shape = _known(call.shape_in())
        given = np.broadcast_to(call.constant[0], shape).ravel()
        layer = clone(call.layer, **_float64(call.layer))
        zeros = ops.zeros((1, *shape), "float64")
        put_in = [
            ops.convert_to_numpy(x)[0] for x in call.node.call(layer, [zeros])
        ]
        return [
            elements.compress(np.where(source >= 0, given[source], values))
            for source, values in zip(self._sources(call), put_in, strict=True)
        ]

    def needed(self, call):
        """The elements that live outputs are."""
        shape = _known(call.shape_in())
        needed = np.zeros(math.prod(shape), bool)
        for source, alive in zip(self._sources(call), call.alive, strict=True):
            taken = source[np.broadcast_to(alive, source.shape)]
            needed[taken[taken >= 0]] = True
        return [elements.compress(needed.reshape(shape))]

    def twin(self, call):
        """The layer itself on less, or new labels on what there is.

        The layer with the arguments that it has, or fitting ones, on the
        input as it is, or on the least that live outputs need; else no layer
        at all, if every output is a selection from the input; else the whole,
        of which only what is alive may be relied on.
        """
        sources = self._sources(call)
        for found in self._tries(call, sources):
            if found is not None:
                return found
        whole = super().twin(call)
        whole.outputs = [
            elements.labelled(alive, call.shape_out(i))
            for i, alive in enumerate(call.alive)
        ]
        return whole

    def fitting(self, call, have, sizes):
        """The layer with arguments for another size, or None."""

    def _tries(self, call, sources):
        least = elements.hull(
            self._reach(call, sources), _known(call.shape_in())
        )
        for have in (call.have[0], least):
            yield self._same(call, sources, have)
        yield self._labels(call, sources, call.held[0])

    def _reach(self, call, sources):
        """Inputs of all outputs in the smallest layouts that hold the live."""
        shape = _known(call.shape_in())
        needed = np.zeros(math.prod(shape), bool)
        for source, alive in zip(sources, call.alive, strict=True):
            hull = elements.hull(alive, source.shape)
            taken = elements.take(source, hull)
            needed[taken[taken >= 0]] = True
        return needed.reshape(shape)

    def _same(self, call, sources, have):
        """The twin of the same kind of layer on the layout given."""
        shape = _known(call.shape_in())
        numbers = np.arange(math.prod(shape)).reshape(shape)
        numbers = elements.take(numbers, have)
        if any(index_maps.padded(source, have) for source in sources):
            return None
        holds = [index_maps.available(source, numbers) for source in sources]
        want = [
            elements.take(source, hold)
            for source, hold in zip(sources, holds, strict=True)
        ]
        sizes = [made.shape for made in want]
        if any(0 in size for size in sizes):  # nothing can be picked from that
            return None
        for layer in (clone(call.layer), self.fitting(call, have, sizes)):
            made = layer and index_maps.run(call, layer, numbers)
            if len(made or []) == len(want) and all(
                np.array_equal(x, y)
                and index_maps.covers(alive, hold, source.shape)
                for x, y, alive, hold, source in zip(
                    made, want, call.alive, holds, sources, strict=True
                )
            ):
                return Twin(layer, [_unsized(have, call.shape_in())], holds)
        return None

    def _labels(self, call, sources, have):
        """No layer: the input under new labels, one set for each output."""
        if any(tensor in call.graph.outputs for tensor in call.node.outputs):
            return None
        if not call.same_dtypes():
            return None
        shape, outputs = _known(call.shape_in()), []
        for source, alive in zip(sources, call.alive, strict=True):
            maps = index_maps.axis_maps(source, shape)
            if maps is None:
                return None
            made = index_maps.relabel(maps, have, shape, alive)
            if made is None or not index_maps.covers(alive, made, source.shape):
                return None
            outputs.append(made)
        return Twin(None, [have], outputs, gather_name=call.node.key)

    def _sources(self, call):
        """Per output, ints: the flat input element that it is; -1 for none."""
        return call.once("sources", lambda: self._traced(call))

    def _traced(self, call):
        shape = _known(call.shape_in())
        numbers = np.arange(math.prod(shape)).reshape(shape)
        made = index_maps.run(call, clone(call.layer), numbers)
        if made is None:
            return None
        shapes = [call.shape_out(i) for i in range(len(call.node.outputs))]
        fits = len(made) == len(shapes) and all(
            source.shape == _known(shape) and source.size
            for source, shape in zip(made, shapes, strict=True)
        )
        return made if fits else None


def _known(shape):
    return tuple(1 if size is None else size for size in shape)


def _unsized(layout, shape):
    """The layout with None for the axes of unknown size."""
    return tuple(
        None if size is None else kept
        for kept, size in zip(layout, shape, strict=True)
    )


def _float64(layer):
    return {"dtype": "float64"} if isinstance(layer, layers.Layer) else {}


_RESHAPE = operation_class(
    ops.reshape, keras.KerasTensor((None, 2, 2)), (-1, 4)
)
_SLICE = operation_class(
    ops.slice, keras.KerasTensor((None, 2)), (0, 0), (-1, 1)
)


def _classes():
    """Classes of `keras.ops` that only move elements."""
    tensor = keras.KerasTensor((None, 2, 2))
    return {
        _RESHAPE,
        _SLICE,
        operation_class(ops.array_split, tensor, 2, axis=-1),
        operation_class(ops.unstack, tensor, axis=-1),
        operation_class(ops.rot90, tensor, axes=(1, 2)),
        operation_class(ops.transpose, tensor, (0, 2, 1)),
        operation_class(ops.swapaxes, tensor, 1, 2),
        operation_class(ops.moveaxis, tensor, 1, 2),
        operation_class(ops.squeeze, keras.KerasTensor((None, 1, 2)), 1),
        operation_class(ops.expand_dims, tensor, 1),
        operation_class(ops.split, tensor, 2, axis=-1),
        operation_class(ops.take, tensor, [0], axis=-1),
        operation_class(ops.pad, tensor, ((0, 0), (0, 0), (0, 1))),
        operation_class(ops.repeat, tensor, 2, axis=-1),
        operation_class(ops.tile, tensor, (1, 1, 2)),
        operation_class(ops.flip, tensor, axis=-1),
        operation_class(ops.roll, tensor, 1, axis=-1),
        operation_class(lambda x: x[..., :1], tensor),
    }


@rule(layers.Flatten, layers.Permute, layers.RepeatVector, *_classes())
class Moved(Movement):
    """Movements whose arguments count no channels, or stand as they are."""

    def fitting(self, call, have, sizes):
        """A reshape or a slice to the new sizes."""
        name = {_RESHAPE: "newshape", _SLICE: "shape"}.get(type(call.layer))
        if name is None:
            return None
        batch = getattr(call.layer, name)[0]
        return clone(call.layer, **{name: (batch, *sizes[0])})


@rule(layers.Reshape)
class Reshape(Movement):
    """`Reshape`: to the sizes that are left."""

    def fitting(self, call, have, sizes):
        """The same reshape of less."""
        return clone(call.layer, target_shape=tuple(sizes[0]))
