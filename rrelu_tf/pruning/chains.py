"""Layers that follow one another, channel for channel: one mask for all.

What a depthwise convolution, norm or rotated activation makes of a channel
goes with it, and takes it along where nothing else reads it. With masks of
their own, less would be left of both than of either.
"""

import numpy as np

from rrelu_tf.strip import coupling
from rrelu_tf.strip.graph import trace, walk


def chained(model, keys):
    """Which channels of some layers can only go together.

    Args:
        model: a functional or built Sequential `keras.Model`.
        keys: list of layers' names, `outer/inner` inside nested models.

    Returns:
        dict: key -> int array (channels,), as of `coupling.coupled`: the same
        numbers for a layer and the next one that is among the keys, if only
        layers that keep its channels apart, of a single reader each, lie
        between them.
    """
    places = {}
    for graph, node, key in walk(trace(model)):
        places.setdefault(key, (graph, node))
    ties = coupling.coupled(model, list(places))
    labels, count = {}, 1
    for key, (graph, node) in places.items():
        if key not in keys:
            continue
        if key not in labels:
            size = graph.channels(node)
            labels[key] = np.arange(count, count + size)
            count += size
        follower = _follower(graph, node, key, ties, keys)
        if follower is not None:
            labels[follower] = labels[key]
    return labels


def _follower(graph, node, key, ties, keys):
    """The next of the keys behind a node, or None."""
    numbers, prefix = ties[key], key[: len(key) - len(node.key)]
    # Channels that are tied among themselves are not one to one.
    if len(np.unique(numbers)) < len(numbers) or node.shared:
        return None
    readers, tensor = graph.consumers(), node.outputs[0]
    while tensor not in graph.outputs and len(readers[tensor]) == 1:
        (reader,) = readers[tensor]
        other = prefix + reader.key
        if reader.shared or len(reader.inputs) > 1 or len(reader.outputs) > 1:
            return None
        if not np.array_equal(ties[other], numbers):
            return None
        if other in keys:
            return other
        tensor = reader.outputs[0]
    return None
