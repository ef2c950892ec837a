"""What stayed of a net, channel by channel, and what serving needs."""

import json

from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of, trace, walk


def manifest(source, kept, data, **notes):
    """A pruned model's manifest, plain values for JSON.

    Args:
        source: the `keras.Model` before all pruning.
        kept: dict: layer -> the channels of the source that stayed.
        data: the `rrelu_tf.data.Data` that it classifies.
        **notes: plain values besides: the score, zeta, ...

    Returns:
        dict.
    """
    widths = {
        key: graph.channels(node) for graph, node, key in walk(trace(source))
    }
    rotated = layers_of(source, Rotated).values()
    return {
        "source": source.name,
        "dataset": data.name,
        "activations": sorted({type(x).__name__.lower() for x in rotated}),
        **notes,
        "channels": widths,
        "kept": {key: [*map(int, left)] for key, left in kept.items()},
        "preprocessing": json.loads(data.preprocessing.to_json()),
        "class_names": list(data.class_names),
    }


def origin(source, before, known, pruning):
    """Whose model it was, its costs before all pruning, how it was pruned.

    Args:
        source: the `keras.Model` before pruning.
        before: its `analysis.report.Measurements`.
        known: dict, what is known of where it comes from.
        pruning: dict of plain values.
    """
    costs = ("parameters", "weights", "flops")
    return {
        "network": source.name,
        "dense": {name: getattr(before, name) for name in costs},
        **known,
        "pruning": pruning,
    }
