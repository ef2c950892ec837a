"""Two models run layer by layer, and compared where they hold the same."""

import collections
import dataclasses
import inspect
import zlib

import keras
import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.graph import has_graph, trace
from rrelu_tf.strip.liveness import analyse
from rrelu_tf.strip.nested import inside


@dataclasses.dataclass(frozen=True)
class Pair:
    """A layer that both models have, and the channels that both hold.

    Attributes:
        axis: along which they are narrowed, not counting the batch; None
            where both hold the same.
        places: per model, ints: where the common channels stand.
        alive: bool array over the common elements: one model needs it.
        free: the same: both models need it, and neither knows it.
    """

    axis: int | None
    places: tuple
    alive: np.ndarray
    free: np.ndarray


def pairs(graphs, kept):
    """The layers whose outputs can be compared.

    Args:
        graphs: the two models' `Graph`s.
        kept: per model, a dict: key -> the source's channels, as
            `rrelu_tf.strip` records it; {} for a source.

    Returns:
        dict: key, `outer/inner` in nested models -> `Pair`. Left out are
        layers that are not called equally often, and those that are narrowed
        along several axes.
    """
    places = [_places(graph) for graph in graphs]
    found = {}
    for key, calls in places[0].items():
        others = places[1].get(key, [])
        if len(calls) != len(others) or None in (*calls, *others):
            continue
        pair = _pair((calls, others), [k.get(key) for k in kept])
        if pair is not None:
            found[key] = pair
    return found


def differing(graphs, pairs, inputs, tolerance, noisy=False):
    """Runs both models and compares every layer's output.

    If `noisy`, what a layer passes on is not what it computed but random
    numbers, the same ones in both models, wherever an element is alive: then
    no layer can hide what is behind it. The analysis that `strip` rests on
    holds for any value of a live element, so a stripped model stands this.

    Args:
        graphs: the two `Graph`s.
        pairs: what `pairs` returned.
        inputs: the models' inputs.
        tolerance: largest difference over the layer's largest output.
        noisy: bool.

    Returns:
        List: keys of the layers that differ, in the order of the first
        graph's calls.
    """
    seen, order, found = {}, [], set()

    def remember(call, values):
        seen[call] = values
        order.append(call)

    def compare(call, values):
        other = seen.pop(call)
        same = values.shape == other.shape
        if same and not distance([other], [values])[1] <= tolerance:
            found.add(call)

    for side, meet in enumerate((remember, compare)):
        _run(graphs[side], inputs, _visitor(pairs, side, meet, noisy))
    return list(dict.fromkeys(key for key, n in order if (key, n) in found))


def reaching(graph, differ, same):
    """Those of the layers that differ whose difference gets to an output.

    Not those behind which every way leads through a layer that does not
    differ: a folded convolution does the work of the norm that it absorbed.

    Args:
        graph: the first `Graph`.
        differ: keys of layers, in order.
        same: set of keys of the layers that do not.

    Returns:
        List of keys.
    """
    open_ways, readers = set(graph.outputs), graph.consumers()
    for node in reversed(graph.nodes):
        for tensor in node.outputs:
            if any(
                reader.key not in same and open_ways & set(reader.outputs)
                for reader in readers[tensor]
            ):
                open_ways.add(tensor)
    reach = {node.key for node in graph.nodes if open_ways & set(node.outputs)}
    return [key for key in differ if key.partition("/")[0] in reach]


def _visitor(pairs, side, meet, noisy):
    calls = collections.Counter()

    def visit(key, tensor):
        pair = pairs.get(key)
        if pair is None:
            return tensor
        calls[key] += 1
        whole = keras.ops.convert_to_numpy(tensor)
        part = _common(pair, side, whole)
        meet((key, calls[key]), np.where(pair.alive, part, 0))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if not noisy or dtype not in ("float32", "float64"):
            return tensor
        return _noise(pair, side, whole, part, f"{key} {calls[key]}")

    return visit


def distance(a, b):
    """Largest difference, and the largest over the array's largest value.

    NaN or the same infinity in both is no difference; in one it is NaN.

    Args:
        a: list of arrays.
        b: the same, of the same shapes.

    Returns:
        Two floats; the second has the largest finite value of each array of
        `a` for its unit.
    """
    difference = relative = 0.0
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        apart = np.abs(np.subtract(x, y, where=~same, out=np.zeros_like(x)))
        apart = np.max(apart, initial=0.0)
        unit = np.max(np.abs(x), initial=0.0, where=np.isfinite(x))
        difference = np.maximum(difference, apart)
        relative = np.maximum(relative, apart / unit if unit else apart)
    return float(difference), float(relative)


def _places(graph, live=None, prefix="", sound=True):
    """key -> per call, (shape, Liveness, tensor) of the first output.

    None instead for calls that nobody reads, and those that need not compute
    alike: a repeated layer without weights may have several narrower twins.
    """
    live = live or analyse(graph)
    found = {}
    for node in graph.nodes:
        alike = sound and (node.shared or not graph.repeated(node))
        tensor = node.outputs[0]
        read = live.alive[tensor] is not None
        place = (graph.shape(tensor), live, tensor) if alike and read else None
        found.setdefault(prefix + node.key, []).append(place)
        within = inside(graph, live, node) if read else None
        if within:
            inner = _places(*within, f"{prefix}{node.key}/", alike)
            for key, calls in inner.items():
                found.setdefault(key, []).extend(calls)
    return found


def _pair(calls, kept):
    """The `Pair` of two layers, each given by its calls; None if unclear."""
    shapes = [{shape for shape, _, _ in each} for each in calls]
    if any(len(each) > 1 for each in shapes):
        return None
    shapes = [each.pop() for each in shapes]
    at = _common_places(shapes, kept)
    if at is None:
        return None
    axis, places = at
    alive, free = np.array(False), np.array(True)
    for each, where in zip(calls, places, strict=True):
        layout = [None] * len(shapes[0])
        if axis is not None:
            layout[axis] = where
        for _, live, tensor in each:
            constant, needed = live.constant[tensor], live.alive[tensor]
            needed = elements.take(needed, layout)
            alive = alive | needed
            free = free & needed & np.isnan(elements.take(constant, layout))
    return Pair(axis, places, alive, free)


def _common_places(shapes, kept):
    """(axis, per model the places of common channels); None if unclear.

    `kept` has the indices along the axis that is narrowed, not which one.
    """
    if len(shapes[0]) != len(shapes[1]):
        return None
    sizes = list(zip(*shapes, strict=True))
    unequal = [axis for axis, (x, y) in enumerate(sizes) if x != y]
    if len(unequal) > 1:
        return None
    for axis in unequal or reversed(range(len(sizes))):
        labels = [
            np.arange(size or 0) if held is None else np.array(held)
            for size, held in zip(sizes[axis], kept, strict=True)
        ]
        if tuple(map(len, labels)) == sizes[axis]:
            return axis, _matching(*labels)
    return None if unequal else (None, (None, None))


def _matching(a, b):
    """Where the channels that both hold stand in each."""
    common = np.intersect1d(a, b)
    common = common[common >= 0]
    return tuple(elements.positions(common, labels) for labels in (a, b))


def _common(pair, side, whole):
    if pair.axis is None:
        return whole
    return np.take(whole, pair.places[side], axis=pair.axis + 1)


def _noise(pair, side, whole, part, name):
    """The tensor with random numbers in its free elements."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    drawn = generator.normal(0, 2, part.shape).astype(whole.dtype)
    drawn = np.where(pair.free, drawn, part)
    if pair.axis is not None:
        drawn, kept = whole.copy(), drawn
        at = (slice(None),) * (pair.axis + 1)
        drawn[(*at, pair.places[side])] = kept
    return keras.ops.convert_to_tensor(drawn, whole.dtype)


def _run(graph, inputs, visit, prefix=""):
    """Calls layer after layer; `visit(key, output)` gives what is passed on."""
    last = {t: i for i, node in enumerate(graph.nodes) for t in node.inputs}
    values = dict(zip(graph.inputs, inputs, strict=True))
    for i, node in enumerate(graph.nodes):
        read = [values[tensor] for tensor in node.inputs]
        key = prefix + node.key
        if isinstance(node.layer, keras.Model) and has_graph(node.layer):
            made = _run(trace(node.layer), read, visit, f"{key}/")
        else:
            made = node.call(_at_inference(node.layer), read)
        values.update(zip(node.outputs, made, strict=True))
        values[node.outputs[0]] = visit(key, made[0])
        for tensor in {*node.inputs, *node.outputs} - set(graph.outputs):
            if last.get(tensor, -1) <= i:
                values.pop(tensor, None)
    return [values[tensor] for tensor in graph.outputs]


def _at_inference(layer):
    """The layer, called as in a model that does not train."""
    call = getattr(layer, "call", None)
    if call is None or "training" not in inspect.signature(call).parameters:
        return layer
    return lambda *args, **kwargs: layer(*args, **{**kwargs, "training": False})
