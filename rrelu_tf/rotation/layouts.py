"""On which axis the channels of each tensor of a graph lie."""

import keras
from keras import layers, ops

from rrelu_tf.strip.graph import has_graph, operation_class, trace, walk

_TENSOR = keras.KerasTensor((2, 3))
_MOVING = (
    layers.Permute,
    operation_class(ops.transpose, _TENSOR),
    operation_class(ops.moveaxis, _TENSOR, 0, 1),
    operation_class(ops.swapaxes, _TENSOR, 0, 1),
)
# Whatever comes in, their features lie on the last axis.
_LAST = (
    *(layers.Dense, layers.EinsumDense, layers.Embedding),
    *(layers.RNN, layers.Bidirectional),
    *(layers.MultiHeadAttention, layers.GroupQueryAttention),
)
_NORMS = (layers.BatchNormalization, layers.GroupNormalization)


def channel_axes(graph, given, first):
    """The axis of each tensor's channels, followed from what makes them.

    A layer with a `data_format`, a normalisation with an axis and one that
    computes features state it; others hand on what they read. What no layer
    states, as of a model's inputs, is the last axis, or the first behind the
    batch if any layer of the model computes with channels first. Wherever
    channels do not lie last an answer may name another axis than theirs, but
    not the last.

    Args:
        graph: a `Graph`.
        given: the axes of its inputs; None where it is no nested model.
        first: `channels_first` of the outermost model's graph.

    Returns:
        dict: number of the tensor -> axis, the batch's being 0.
    """
    if given is None:
        given = [_unstated(_rank(graph, x), first) for x in graph.inputs]
    axes = dict(zip(graph.inputs, given, strict=True))
    for node in graph.nodes:
        axes.update(_made(graph, node, axes, first))
    return axes


def channels_first(graph):
    """Whether any layer, of nested models too, has its channels first."""
    return any(
        _format(node.layer) == "channels_first" for _, node, _ in walk(graph)
    )


def merged(graph, node, axes):
    """The axes that a node's layer reads, over all its calls: last if all are.

    Args:
        graph: a `Graph`.
        node: one of its nodes.
        axes: of `channel_axes`.
    """
    calls = [call.inputs for call in graph.calls_of(node)]
    return [
        next((axes[x] for x in read if not is_last(graph, x, axes)), axes[own])
        for own, *read in zip(node.inputs, *calls, strict=True)
    ]


def is_last(graph, tensor, axes):
    """Whether a tensor's channels lie on its last axis."""
    return axes[tensor] == _rank(graph, tensor) - 1


def _rank(graph, tensor):
    return len(graph.tensors[tensor].shape)


def _unstated(rank, first):
    return 1 if first and rank > 2 else rank - 1


def _format(layer):
    inner = layer.layer if isinstance(layer, layers.TimeDistributed) else layer
    return getattr(inner, "data_format", None)


def _made(graph, node, axes, first):
    """Number of each output -> its axis."""
    if has_graph(node.layer):
        inner = trace(node.layer)
        read = [axes[tensor] for tensor in node.inputs]
        inside = channel_axes(inner, read, first)
        made = [inside[tensor] for tensor in inner.outputs]
        return zip(node.outputs, made, strict=True)
    made = {}
    for tensor in node.outputs:
        rank = _rank(graph, tensor)
        stated = rank - 1 if rank < 3 else _stated(node.layer, rank)
        if stated is None:
            stated = _handed_on(graph, node, axes, rank, first)
        made[tensor] = stated
    return made


def _stated(layer, rank):
    """The axis that a layer states by itself, or None."""
    if _format(layer) == "channels_first":
        timed = isinstance(layer, layers.TimeDistributed)
        spatial = getattr(
            layer.layer if timed else layer, "rank", rank - 2 - timed
        )
        return rank - 1 - spatial
    if _format(layer) == "channels_last" or isinstance(layer, _LAST):
        return rank - 1
    if isinstance(layer, _NORMS) and layer.axis not in (-1, rank - 1):
        return layer.axis % rank
    return None


def _handed_on(graph, node, axes, rank, first):
    known = [x for x in node.inputs if _rank(graph, x) > 2]
    if not known:
        return _unstated(rank, first)
    at = next((x for x in known if not is_last(graph, x, axes)), known[0])
    if isinstance(node.layer, _MOVING):
        sizes = tuple(range(2, 2 + rank))  # each axis known by its size
        spec = node.layer.compute_output_spec(keras.KerasTensor(sizes))
        return spec.shape.index(sizes[axes[at]])
    if is_last(graph, at, axes):
        return rank - 1
    return axes[at] if rank == _rank(graph, at) else 1
