"""What a model's forward pass costs on a CPU, on paper.

Time is in proportion to products, to elements that move through memory, and to
elements that a `ChannelGather` picks one by one. Products of channels that fill
no vector take as long as those of a full one, and a gather is one operation
more to start, once for a batch of 8. The rates are those of one core (Zen 4,
4 GHz, float32, oneDNN); a choice between two strips of a model depends on their
ratios alone, which other CPUs share roughly.
"""

import math

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip.graph import has_graph, trace, walk

_PRODUCT = 0.02  # nanoseconds a multiply-accumulate
_MOVED = 0.25  # an element read or written
_PICKED = 4.7  # an element picked by itself
_STARTED = 10_000 / 8  # an operation, of each example of a batch
_VECTOR = 16  # channels that are computed at once: AVX-512, float32


def nanoseconds(model):
    """The cost of one example, an estimate in nanoseconds.

    Products are counted of kernels alone (none inside attention), which is
    enough to compare models that differ in width. An axis of unknown size
    counts as 1.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        float.
    """
    return sum(
        _of_call(graph, node)
        for graph, node, _ in walk(trace(model))
        if not has_graph(node.layer)
    )


def _of_call(graph, node):
    read = [graph.shape(tensor) for tensor in node.inputs]
    made = [graph.shape(tensor) for tensor in node.outputs]
    moved = _MOVED * sum(map(_size, read + made))
    product = _PRODUCT * _filled(graph, node)
    if not isinstance(node.layer, ChannelGather):
        return moved + product * _products(node.layer, graph, node)
    way = node.layer.way((None, *read[0]))
    rate = {"slice": 0.0, "product": product * read[0][-1], "take": _PICKED}
    return moved + _STARTED + rate[way] * _size(made[0])


def _filled(graph, node):
    """Channels in whole vectors for each channel that a layer makes."""
    channels = graph.channels(node)
    return _VECTOR * math.ceil(channels / _VECTOR) / channels


def _products(layer, graph, node):
    """Multiply-accumulates: every entry of a kernel at every position."""
    entries = sum(
        math.prod(weight.shape)
        for weight in getattr(layer, "weights", [])
        if len(weight.shape) > 1
    )
    if not entries:
        return 0
    # A transposed convolution goes over the positions of its input.
    transposed = type(layer).__name__.endswith("Transpose")
    tensor = (node.inputs if transposed else node.outputs)[0]
    shape = list(graph.shape(tensor))
    if shape:
        shape[graph.channel_axis(node)] = 1
    return entries * _size(shape)


def _size(shape):
    return math.prod(size or 1 for size in shape)
