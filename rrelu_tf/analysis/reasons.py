"""Why a layer loses channels, or keeps them all."""

import numpy as np

from rrelu_tf.strip.rules.table import OPAQUE


def opaque(level, node):
    """Whether no rule knows a node of a `Level`."""
    return level.rule(node) is OPAQUE


def lost(level, node):
    """Which of a node's channels go, as text: always 0, constant or unread."""
    constant = level.channels(node, level.live.constant[node.outputs[0]])
    alive = level.alive(node)
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
    if opaque(level, node):
        kind = type(node.layer).__name__
        return (
            f"opaque: no rule knows `{kind}` as it is called here; "
            "see rrelu_tf.strip.register"
        )
    tensor = node.outputs[0]
    if any(reader is None for _, reader in level.readers(tensor)):
        return "it is an output of the model"
    dead = lost(level, node)
    if dead:
        return f"{dead}, but it cannot be cut there"
    return _barrier(level, tensor) or "nothing in it is dead"


def _barrier(level, tensor):
    """The first layer behind a tensor that holds its channels back, or None.

    Layers that take each channel for itself are looked through.
    """
    queue, seen = [(level, tensor)], set()
    for place, made in queue:  # grows
        if (id(place), made) in seen:
            continue
        seen.add((id(place), made))
        for at, reader in place.readers(made):
            if reader is None:
                return "its channels are those of an output of the model"
            barrier = at.barrier(reader)
            if barrier:
                kind = type(reader.layer).__name__
                return f"{at.key(reader)} ({kind}): {barrier}"
            if at.rule(reader).aligned:
                queue += [(at, output) for output in reader.outputs]
    return None
