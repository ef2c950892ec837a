"""Why a layer loses channels, or keeps them all, or gets some back."""

import numpy as np

from rrelu_tf.strip.rules.registered import registrable
from rrelu_tf.strip.rules.table import OPAQUE


def opaque(level, node):
    """Whether no rule knows a node of a `Level`."""
    return level.rule(node) is OPAQUE


def lost(level, node):
    """Which of a node's channels go, as text: always 0, constant or unread."""
    alive = level.alive(node)
    constant = level.channels(node, level.live.constant[node.outputs[0]])
    zero = ~alive & (constant == 0)
    filled = ~alive & (np.abs(constant) > 0)
    counts = (
        (zero, "always 0"),
        (filled, "constant, filled in for their readers"),
        (~alive & np.isnan(constant), "read by nothing"),
    )
    return ", ".join(
        f"{which.sum()} {what}" for which, what in counts if which.any()
    )


def whole(level, node):
    """Why a node keeps every channel: one clause."""
    if node.training:
        return f"opaque: {level.barrier(node)}"
    if opaque(level, node):
        kind = type(node.layer)
        advice = "; see rrelu_tf.strip.register" if registrable(kind) else ""
        return (
            f"opaque: no rule knows `{kind.__name__}` as it is called here"
            f"{advice}"
        )
    tensor = node.outputs[0]
    if any(reader is None for _, reader in level.readers(tensor)):
        return "it is an output of the model"
    dead = lost(level, node)
    if dead:
        return f"{dead}, but it cannot be cut there"
    return _holding(level, node) or _nothing_dead(level, tensor)


def _nothing_dead(level, tensor):
    """That, and the first barrier that channels would meet if some were."""
    for at, reader, _ in _frontier(level, tensor):
        if reader is not None and at.barrier(reader):
            return f"nothing in it is dead; behind it is {_named(at, reader)}"
    return "nothing in it is dead"


def wide(level, node, fill):
    """Why a reader gets channels back: one clause.

    Args:
        level: the `Level` of the reader in the stripped model.
        node: the reader; None for an output of the model.
        fill: float array: the numbers that it gets.
    """
    if node is None:
        return "it keeps its width"
    barrier, widens = level.barrier(node), level.rule(node).widens
    if barrier:
        return barrier
    if np.any(fill):
        return "they are constants, not all 0"
    if node.shared:
        return "another call of it has them"
    if widens:
        return widens
    for at, reader, _ in _frontier(level, node.outputs[0]):
        if reader is None:
            return "its channels are those of an output of the model"
        if at.barrier(reader):
            return _named(at, reader)
    return "it reads them"


def _holding(level, node):
    """The barrier but for which some of a node's channels were dead, or None.

    That is, if some would be read by nothing had the barriers behind the node
    taken each channel for itself.
    """
    size = level.graph.channels(node)
    barriers, wanted = [], np.zeros(size, bool)
    frontier = list(_frontier(level, node.outputs[0]))
    for at, reader, _ in frontier:
        if reader is None:
            return None
        if at.barrier(reader) and not at.alive(reader).all():
            barriers.append((at, reader))
    if not barriers:
        return None
    for at, reader, tensor in frontier:
        if at.barrier(reader):
            alive = at.alive(reader)
            wanted |= alive if len(alive) == size else True
        else:
            wanted |= at.wanted(reader, tensor, size)
    return None if wanted.all() else _named(*barriers[0])


def _named(level, node):
    kind = type(node.layer).__name__
    return f"{level.key(node)} ({kind}): {level.barrier(node)}"


def _frontier(level, tensor):
    """(level, node, what it reads) of what reads a tensor in the end.

    Layers that take each channel for itself are looked through. The node is
    None for an output of the model.
    """
    queue, seen = [(level, tensor)], set()
    for place, made in queue:  # grows
        if (id(place), made) in seen:
            continue
        seen.add((id(place), made))
        for at, reader in place.readers(made):
            if reader is not None and not at.read(reader):
                continue
            open_to = reader is not None and not at.barrier(reader)
            if open_to and at.rule(reader).aligned:
                queue += [(at, output) for output in reader.outputs]
            else:
                yield at, reader, made
