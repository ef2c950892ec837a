"""Layer class -> rule. What is not in the table is opaque."""

import keras

from rrelu_tf.strip.graph import has_graph
from rrelu_tf.strip.rules.base import Call, Rule

_TABLE = {}
OPAQUE = Rule()


def rule(*layer_classes):
    """Makes the decorated `Rule` class that of these layer classes.

    A subclass of a layer class may compute anything: it is not covered.
    """

    def decorate(rule_class):
        enter(rule_class(), *layer_classes)
        return rule_class

    return decorate


def enter(made, *layer_classes):
    """Makes a `Rule` that of these layer classes."""
    for layer_class in layer_classes:
        _TABLE[layer_class] = made


def entered(layer_class):
    """The `Rule` that the table has for a class; None if there is none."""
    return _TABLE.get(layer_class)


def rule_of(call):
    """The rule for a node, opaque where the table knows none that covers it.

    So is a layer with weights that is called on tensors of several shapes, and
    a call that says `training=True`: the rules are those of inference.
    """
    if call.node.training:
        return OPAQUE
    nested = isinstance(call.layer, keras.Model) and has_graph(call.layer)
    known = keras.Model if nested else type(call.layer)
    found = _TABLE.get(known, OPAQUE)
    if call.node.shared and not call.graph.called_alike(call.node):
        return OPAQUE
    return found if found.covers(call) else found.otherwise(call) or OPAQUE


def passes_channels(graph, node):
    """Whether a channel of a node's output that is 0 on input stays 0."""
    return rule_of(Call(graph, node, constant=None)).chained
