"""A wrapped model without its wrappers."""

from rrelu_tf.pruning.wrappers.wrapper import PruneChannels, unwrapped
from rrelu_tf.strip.cloning import clone, copy_weights
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import layers_of, trace, walk


def bare(model):
    """A copy of a model in which the wrapped layers are themselves again.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        A new model of the same keys and weights.
    """
    return copy(
        model,
        lambda layer: clone(unwrapped(layer)),
        lambda source, target: copy_weights(unwrapped(source), target),
    )


def wrappers(model):
    """The wrappers in a model, dict in forward order: key -> wrapper."""
    return layers_of(model, PruneChannels)


def bare_layers(model):
    """dict: key -> layer, of a wrapped one the layer inside."""
    found = {}
    for _, node, key in walk(trace(model)):
        found.setdefault(key, unwrapped(node.layer))
    return found
