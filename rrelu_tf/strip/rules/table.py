"""Layer class -> rule. What is not in the table is opaque."""

from rrelu_tf.strip.rules.base import Call, ChannelWise, Rule

_TABLE = {}
_OPAQUE = Rule()


def rule(*layer_classes):
    """Makes the decorated `Rule` class that of these layer classes.

    A subclass of a layer class may compute anything: it is not covered.
    """

    def decorate(rule_class):
        for layer_class in layer_classes:
            _TABLE[layer_class] = rule_class()
        return rule_class

    return decorate


def rule_of(call):
    """The rule for a node.

    Opaque are, besides what the table lacks and its rules do not cover:
    layers called more than once, whose channels have several meanings, and
    those whose channels come first.
    """
    layer = call.layer
    found = _TABLE.get(type(layer), _OPAQUE)
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    if call.node.shared or channels_first or not found.covers(call):
        return _OPAQUE
    return found


def passes_channels(graph, node):
    """Whether each output channel of a node is made from its own input."""
    return isinstance(rule_of(Call(graph, node, zero=None)), ChannelWise)
