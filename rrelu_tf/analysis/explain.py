"""What `strip` would do to a model, and why."""

import dataclasses

import keras
import numpy as np
from rich.table import Table

from rrelu_tf.analysis import put_back, reasons, text, tied
from rrelu_tf.analysis.levels import levels
from rrelu_tf.layers import ChannelGather, Rotated
from rrelu_tf.strip.elimination import aligned
from rrelu_tf.strip.graph import trace, walk


def explain(model, *, align="gather"):
    """Tells what `rrelu_tf.strip` would keep of a model, and why.

    Args:
        model: a functional or built Sequential `keras.Model`, masked or not.
        align: as of `rrelu_tf.strip`. With "couple" it tells what else, besides
            layers that can be masked, the channels of a group are tied to, and
            which dead channels stay because of what they are tied to; with
            "auto" it ends in which of both was taken.

    Returns:
        Text of these parts: groups of layers whose channels meet, in an Add
        for instance, with the channels of the group and those that one of its
        layers keeps; each layer with kernels, or that no rule knows, and each
        rotated activation (batch normalisation where there are none) with its
        channels, those it keeps, and what is dead or why nothing went; the
        readers, such as a layer normalisation, for which channels that are
        gone are put back, and why; and the sums. Layers inside nested models
        are `outer/inner`.

    Raises:
        UserError: as `rrelu_tf.strip` does.
    """
    stripped, taken = aligned(model, align)
    after = {}
    for graph, node, key in walk(trace(stripped)):
        after.setdefault(key, graph.channels(node))
    ties = tied.Tied(model, taken)
    found = _layers(levels(model, taken), after, ties)
    parts = [
        ties.table(found),
        _table(found),
        put_back.table(levels(stripped, taken)),
        _sums(model, stripped),
        f'align="auto" takes "{taken}".\n' if align == "auto" else "",
    ]
    return "\n".join(part for part in parts if part)


@dataclasses.dataclass
class _Layer:
    """One layer: class, channels before and after, and the reason.

    `alive` is bool (channels,), of all calls together. `makes` is whether the
    channels are its own, not only passed through it.
    """

    kind: str
    alive: np.ndarray
    kept: int
    why: str
    makes: bool

    @property
    def channels(self):
        return len(self.alive)


def _layers(top, after, ties):
    """key -> `_Layer` of each that is listed, in the graph's order."""
    found, keyed = {}, _keyed(top)
    for level, node in top.walk():
        key = level.key(node)
        makes = reasons.opaque(level, node) or _has_kernels(node.layer)
        if not (makes or keyed(node.layer)) or level.inner(node):
            continue
        alive = level.alive(node)
        if key in found:  # the calls of one layer
            if len(found[key].alive) == len(alive):
                found[key].alive |= alive
            continue
        kept = after.get(key, 0)
        lost = reasons.lost(level, node)
        if kept == 0:
            why = f"gone whole: {lost or 'no output depends on it'}"
        elif kept < len(alive):
            more = kept - alive.sum()
            why = f"{lost}; {more} stay to fill groups up" if more > 0 else lost
        else:
            why = reasons.whole(level, node)
        why = ties.why(key, alive, why) if kept else why
        kind = type(node.layer).__name__
        found[key] = _Layer(kind, alive.copy(), kept, why, makes)
    return found


def _keyed(top):
    """function of a layer: whether slopes, or else gammas, score it."""
    rotated = any(isinstance(node.layer, Rotated) for _, node in top.walk())
    if rotated:
        return lambda layer: isinstance(layer, Rotated)
    norm = keras.layers.BatchNormalization
    return lambda layer: isinstance(layer, norm) and layer.scale


def _has_kernels(layer):
    return any(len(w.shape) > 1 for w in getattr(layer, "weights", []))


def _table(found):
    table = Table("layer", "class")
    for name in ("channels", "kept"):
        table.add_column(name, justify="right")
    table.add_column("why")
    for key, layer in found.items():
        counts = f"{layer.channels:,}", f"{layer.kept:,}"
        table.add_row(key, layer.kind, *counts, layer.why)
    return text.render(table) + "\n"


def _sums(model, stripped):
    before, after = model.count_params(), stripped.count_params()
    layers = [
        {key: node.layer for _, node, key in walk(trace(each))}
        for each in (model, stripped)
    ]
    if after == before and layers[0].keys() == layers[1].keys():
        return f"strip would remove nothing: {before:,} parameters stay.\n"
    gathers = [
        key
        for key, layer in layers[1].items()
        if isinstance(layer, ChannelGather) and key not in layers[0]
    ]
    share = f" ({100 * after / before:.1f} %)" if before else ""
    listed = f": {', '.join(gathers)}" if gathers else ""
    return (
        f"strip would keep {after:,} of {before:,} parameters{share} and "
        f"insert {len(gathers)} gathers{listed}.\n"
    )
