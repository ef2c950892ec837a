"""Proof by trial: two models that must compute the same function."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.strip.graph import clone, fresh_input, trace

_TOLERANCES = {"float64": 1e-10, "float32": 1e-5}


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """That two models agree, and how closely.

    Attributes:
        difference: largest absolute difference of any output value.
        relative: `difference` over the largest absolute output value.
        tolerance: what `relative` had to stay within.
        dtype: "float64" or "float32", what the models computed in.
        samples: number of random inputs.
    """

    difference: float
    relative: float
    tolerance: float
    dtype: str
    samples: int


class NotEquivalent(ValueError):
    """Two models that had to be equal are not.

    Attributes:
        layer: name of the first layer whose outputs differ; None if the
            layers that both models have all agree.
    """

    def __init__(self, message, layer=None):
        super().__init__(message)
        self.layer = layer


def verify(a, b, *, samples=8, tolerance=None):
    """Checks that two models give equal outputs for random inputs.

    Both run in a float64 copy where their layers allow it, else as they are.
    Inputs are normal draws whose scale doubles from sample to sample over
    1/4 ... 4, so that small and large activations are both met.

    Args:
        a: the reference, for instance the masked model.
        b: the other one, for instance the stripped model.
        samples: number of random inputs, 1 or more.
        tolerance: largest difference over the largest output of `a`; 1e-10 in
            float64 and 1e-5 in float32 when None.

    Returns:
        An `Equivalence`.

    Raises:
        NotEquivalent: outputs differ; it names the first layer that does.
        UserError: the models' inputs or outputs have other shapes.
    """
    if samples < 1:
        raise UserError(
            f"verify needs at least one sample. Received: samples={samples}"
        )
    graphs = trace(a), trace(b)
    _same_interface(*graphs)
    wide = _in_float64(graphs, samples)
    dtype = "float64" if wide else "float32"
    graphs, inputs, outputs = wide or (graphs, *_run(graphs, samples))
    if tolerance is None:
        tolerance = _TOLERANCES[dtype]
    difference, relative = _distance(*outputs)
    if not relative <= tolerance:
        layer = _first_to_differ(graphs, (a, b), inputs, tolerance)
        place = f"; the first layer that differs is {layer}" if layer else ""
        raise NotEquivalent(
            f"The models differ by {relative:.3g} of the largest output in "
            f"{dtype}, more than the tolerance {tolerance:g}{place}. "
            f"Received: a={a.name}, b={b.name}",
            layer,
        )
    return Equivalence(difference, relative, tolerance, dtype, samples)


def _same_interface(a, b):
    for what in ("inputs", "outputs"):
        shapes = [
            [graph.tensors[tensor].shape for tensor in getattr(graph, what)]
            for graph in (a, b)
        ]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"Two models can be compared if their {what} have the same "
                f"shapes. Received: a={shapes[0]}, b={shapes[1]}"
            )


def _run(graphs, samples):
    """Random inputs, and the outputs of each graph."""
    inputs = _random_inputs(graphs[0], samples)
    return inputs, [_outputs(graph, graph.outputs, inputs) for graph in graphs]


def _in_float64(graphs, samples):
    """Float64 graphs, inputs, outputs; None where a layer refuses float64."""
    doubles = [_double(graph) for graph in graphs]
    if None in doubles:
        return None
    graphs = [trace(double) for double in doubles]
    try:
        return graphs, *_run(graphs, samples)
    except tf.errors.OpError:  # an operation without a float64 kernel
        return None


def _double(graph):
    """A float64 copy of the model; None where a layer does not allow it."""
    replaced = {
        tensor: fresh_input(graph, tensor, _double_type(graph, tensor))
        for tensor in graph.inputs
    }
    inputs = list(replaced.values())
    layers = {}
    try:
        for node in graph.nodes:
            layer = layers.get(id(node.layer))
            if layer is None:
                layer = layers[id(node.layer)] = _double_layer(graph, node)
            tensors = [replaced[tensor] for tensor in node.inputs]
            replaced.update(
                zip(node.outputs, node.call(layer, tensors), strict=True)
            )
            # A nested model's copy has its weights, in an order of its own.
            if not isinstance(layer, keras.Model) and hasattr(
                layer, "set_weights"
            ):
                layer.set_weights(node.layer.get_weights())
        outputs = [replaced[tensor] for tensor in graph.outputs]
        double = graph.assemble(inputs, outputs)
    except (TypeError, ValueError, tf.errors.OpError):
        return None
    return double if _is_double(double, replaced.values()) else None


def _double_layer(graph, node):
    """An unbuilt float64 copy of a layer; ValueError if there is none."""
    if isinstance(node.layer, keras.Model):
        double = _double(trace(node.layer))
        if double is None:
            raise ValueError(f"{node.key} does not compute in float64.")
        return double
    wanted = _double_type(graph, node.outputs[0])
    if wanted == "float64" and "dtype" in node.layer.get_config():
        return clone(node.layer, dtype=wanted)
    return clone(node.layer)


def _is_double(model, tensors):
    """Whether nothing inside a layer stayed in a narrower float type."""
    dtypes = {value.dtype for value in (*model.variables, *tensors)}
    return not dtypes & {"float32", "float16", "bfloat16"}


def _double_type(graph, tensor):
    dtype = graph.tensors[tensor].dtype
    return "float64" if dtype.startswith(("float", "bfloat")) else dtype


def _random_inputs(graph, samples):
    generator = np.random.default_rng(0)
    arrays = []
    for number in graph.inputs:
        tensor = graph.tensors[number]
        # Unknown sizes: small, and enough for several strides of 2.
        shape = [32 if size is None else size for size in tensor.shape[1:]]
        shape = (samples, *shape)
        if _double_type(graph, number) == "float64":
            scales = 2.0 ** (np.arange(samples) % 5 - 2)
            values = generator.normal(size=shape)
            values *= scales.reshape(-1, *[1] * (len(shape) - 1))
        else:  # pixels, or indices small enough for any table
            top = 256 if tensor.dtype == "uint8" else 2
            values = generator.integers(top, size=shape)
        arrays.append(keras.ops.convert_to_tensor(values, tensor.dtype))
    return arrays


def _outputs(graph, tensors, inputs):
    """The values of some tensors, as float64 arrays."""
    symbolic = [graph.tensors[tensor] for tensor in tensors]
    probe = keras.Model(graph.model.inputs, symbolic)
    values = probe(inputs, training=False)
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(value, "float64"))
        for value in keras.tree.flatten(values)
    ]


def _distance(a, b):
    """Largest difference, and that over the largest finite value of `a`.

    NaN or the same infinity in both is no difference; in one it is NaN.
    """
    difference = 0.0
    for x, y in zip(a, b, strict=True):
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        apart = np.abs(np.subtract(x, y, where=~same, out=np.zeros_like(x)))
        difference = np.maximum(difference, np.max(apart, initial=0.0))
    difference = float(difference)
    largest = max(
        float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x))) for x in a
    )
    return difference, difference / largest if largest else difference


def _first_to_differ(graphs, models, inputs, tolerance):
    """Name of the first layer of `a` that gives other values in `b`."""
    places = [
        {node.key: node.outputs[0] for node in graph.nodes} for graph in graphs
    ]
    shared = [key for key in places[0] if key in places[1]]
    if not shared:
        return None
    values = [
        _outputs(graph, [place[key] for key in shared], inputs)
        for graph, place in zip(graphs, places, strict=True)
    ]
    kept = [getattr(model, "kept", None) or {} for model in models]
    for key, x, y in zip(shared, *values, strict=True):
        x, y = _common_channels([x, y], [which.get(key) for which in kept])
        if x.shape == y.shape and not _distance([x], [y])[1] <= tolerance:
            return key
    return None


def _common_channels(values, kept):
    """Two models' values of a layer, in the source's channels both hold."""
    if kept == [None, None]:
        return values
    labels = [
        np.arange(value.shape[-1] if value.ndim else 0)
        if which is None
        else np.array(which)
        for value, which in zip(values, kept, strict=True)
    ]
    if any(
        value.ndim < 2 or value.shape[-1] != len(label)
        for value, label in zip(values, labels, strict=True)
    ):
        return values
    _, *places = np.intersect1d(*labels, return_indices=True)
    return [value[..., at] for value, at in zip(values, places, strict=True)]
