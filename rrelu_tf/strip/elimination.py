"""strip: narrower models, until nothing is left over."""

from rrelu_tf.errors import UserError
from rrelu_tf.strip import cpu_cost, elements
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.leftovers import leaves_some
from rrelu_tf.strip.liveness import analyse
from rrelu_tf.strip.rebuild import rebuild
from rrelu_tf.strip.stripped import Stripped


def strip(model, *, align="gather"):
    """Removes the dead channels: the same function from a smaller model.

    Dead-channel elimination over the graph: a channel goes if it is the same
    number for every input, or if no output depends on it. What the rules do
    not know is kept whole. See "How it works" in the README.

    Args:
        model: a functional or built Sequential `keras.Model`, for instance
            what `rrelu_tf.mask` returned. It is left as it is.
        align: "gather" removes every dead channel: where readers of a tensor
            want different ones, a `ChannelGather` picks them. "couple" keeps
            channels that meet in an Add or the like if any of them is alive,
            so that no gather is needed. "auto" does both and takes what
            `cpu_cost` finds cheaper, of equal ones "gather".

    Returns:
        A new functional model with equal outputs, of the same layer names,
        input and output shapes, which trains on like any other once compiled.
        `rrelu_tf.kept` tells what it kept.

    Raises:
        UserError: a model without a graph (subclassed, or not built), or with
            a layer that its own configuration does not make again; another
            `align`.
    """
    return aligned(model, align)[0]


def aligned(model, align):
    """(what `strip` returns, the `align` that made it, never "auto")."""
    if align not in ("gather", "couple", "auto"):
        raise UserError(
            'align must be "gather", "couple" or "auto". '
            f"Received: align={align}"
        )
    tried = ("gather", "couple") if align == "auto" else (align,)
    made = [(_stripped(model, each == "couple"), each) for each in tried]
    if len(made) == 1:
        return made[0]
    return min(made, key=lambda one: cpu_cost.nanoseconds(one[0]))


def _stripped(model, couple):
    graph = trace(model, couple=couple)
    stripped = _narrower(graph, analyse(graph))
    while True:  # what was known along two axes is along one when less is left
        graph = trace(stripped, couple=couple)
        live = analyse(graph)
        if not leaves_some(graph, live):
            return stripped
        again = _narrower(graph, live)
        if again.count_params() == stripped.count_params():
            return stripped
        stripped = again


def _narrower(graph, live):
    """The model with only what lives of its graph."""
    whole = [elements.whole(graph.shape(tensor)) for tensor in graph.inputs]
    made, _, kept = rebuild(
        graph, live, whole, whole=True, model_class=Stripped
    )
    made.kept, made.axes = {}, {}
    for name, one in kept.items():
        made.kept[name], made.axes[name] = _composed(graph.model, one)
    made.widths = _widths(graph)
    return made


def _widths(graph):
    """Layer name -> channels in the source, or in its own first one."""
    there = {key: inner.channels(node) for inner, node, key in walk(graph)}
    return there | (getattr(graph.model, "widths", None) or {})


def _composed(source, one):
    """(channels in the source's own source, if it has one; their axis)."""
    before = (getattr(source, "kept", None) or {}).get(one.maker)
    if before is None:
        return list(one.channels), one.axis
    axis = (source.axes or {}).get(one.maker, one.axis)
    if axis == one.axis and not isinstance(one.channels, range):
        before = [before[i] if i >= 0 else -1 for i in one.channels]
    return before, axis
