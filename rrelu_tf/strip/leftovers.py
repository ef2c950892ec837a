"""Whether a graph holds channels that nobody needs computed."""

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip import elements
from rrelu_tf.strip.nested import inside


def leaves_some(graph, live):
    """Whether any layer makes more than lives, as far as layouts can tell.

    A gather's constants are there for others to read: they are no leftovers.

    Args:
        graph: a `strip.graph.Graph`.
        live: its `Liveness`.
    """
    for node in graph.nodes:
        read = [tensor for tensor in node.outputs if live.read[tensor]]
        gather = isinstance(node.layer, ChannelGather)
        if not read and gather and max(node.layer.indices) < 0:
            continue  # numbers that stand in for a branch
        if not read:
            return True
        wanted = live.needed if gather else live.alive
        for tensor in read:
            layout = elements.hull(wanted[tensor], graph.shape(tensor))
            if any(kept is not None for kept in layout):
                return True
        nested = inside(graph, live, node)
        if nested is not None and leaves_some(*nested):
            return True
    return False
