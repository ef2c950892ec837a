"""Proof by trial: two models that must compute the same function."""

import dataclasses
import numbers

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.strip.doubles import double
from rrelu_tf.strip.draws import random_inputs
from rrelu_tf.strip.graph import trace
from rrelu_tf.strip.trials import differing, distance, pairs, reaching

_TOLERANCES = {"float64": 1e-10, "float32": 1e-5}


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """That two models agree, and how closely.

    Attributes:
        difference: largest absolute difference of any output value.
        relative: the largest of each output's difference over its largest
            absolute value.
        tolerance: what `relative` had to stay within.
        dtype: "float64" or "float32", what the models computed in.
        samples: number of random inputs.
        layers: how many layers were also tried on inputs of their own.
    """

    difference: float
    relative: float
    tolerance: float
    dtype: str
    samples: int
    layers: int = 0


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
    Inputs are normal draws of magnitudes from 1/16 to 64, some shifted far to
    either side in each channel, some nearly empty, some constant in each
    channel, so that activations switch on and off.

    An activation that is off for all of them would hide an error behind it.
    Where `rrelu_tf.strip` made one of the models, every layer is therefore
    tried on inputs of its own as well: what the layers before it pass on is
    replaced by the same random numbers in both models, in each channel that
    varies and that both hold. Exact stripping stands this, because it treats
    what varies as if it could be anything.

    Not covered: training, which calls with `training=True` inside the graph
    ask for, too; inputs other than those drawn; and for the layers one by one:
    layers narrowed along several axes at once, those without weights that are
    called repeatedly, those whose values differ while the outputs are equal
    (as after `fold`), and second and further outputs of a layer. These are
    tested through the layers behind them.

    Args:
        a: the reference, for instance the masked model.
        b: the other one, for instance the stripped model.
        samples: number of random inputs, 1 or more; 8 or more draw all kinds.
        tolerance: largest difference over the largest output of `a`, also of
            a layer; 1e-10 in float64 and 1e-5 in float32 when None.

    Returns:
        An `Equivalence`.

    Raises:
        NotEquivalent: outputs differ; it names the first layer that does.
        UserError: the models' inputs or outputs have other shapes; something
            else than a model, a number of samples or a tolerance.
    """
    _check_numbers(samples, tolerance)
    graphs = trace(a), trace(b)
    _same_interface(*graphs)
    wide = _in_float64(graphs, samples)
    dtype = "float64" if wide else "float32"
    graphs, inputs, outputs = wide or (graphs, *_run(graphs, samples))
    if tolerance is None:
        tolerance = _TOLERANCES[dtype]
    kept = [getattr(model, "kept", None) or {} for model in (a, b)]
    _check_finite(outputs[0])
    difference, relative = distance(*outputs)
    what, tried, layer = "", 0, None
    if not relative <= tolerance:
        what = f"The models differ by {relative:.3g} of the largest output"
        found = pairs(graphs, kept)
        differ = differing(graphs, found, inputs, tolerance)
        guilty = reaching(graphs[0], differ, set(found) - set(differ))
        layer = next(iter(guilty or differ), None)
    elif any(kept):
        tried, layer = _try_layers(graphs, kept, inputs, tolerance)
        what = layer and "The models differ for other activations"
    if what:
        place = f"; the first layer that differs is {layer}" if layer else ""
        raise NotEquivalent(
            f"{what} in {dtype}, more than the tolerance {tolerance:g}{place}. "
            f"Received: a={a.name}, b={b.name}",
            layer,
        )
    return Equivalence(difference, relative, tolerance, dtype, samples, tried)


def _check_numbers(samples, tolerance):
    if not isinstance(samples, numbers.Integral) or samples < 1:
        raise UserError(
            "verify needs a whole number of samples, at least one. "
            f"Received: samples={samples}"
        )
    if tolerance is None:
        return
    # Not to be written as a refusal of less than 0: NaN is refused, too.
    if not (isinstance(tolerance, numbers.Real) and tolerance >= 0):
        raise UserError(
            "A tolerance must be a number of at least 0. "
            f"Received: tolerance={tolerance}"
        )


def _try_layers(graphs, kept, inputs, tolerance):
    """(how many layers were tried on inputs of their own, the first to fail).

    Layers that differ as they are, in models whose outputs do not, were
    rewritten on purpose.
    """
    found = pairs(graphs, kept)
    failed = differing(graphs, found, inputs, tolerance, noisy=True)
    if failed:
        rewritten = differing(graphs, found, inputs, tolerance)
        found = {k: pair for k, pair in found.items() if k not in rewritten}
        if rewritten:
            failed = differing(graphs, found, inputs, tolerance, noisy=True)
    return len(found), next(iter(failed), None)


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
    names = [_names(graph.model.output) for graph in (a, b)]
    if names[0] != names[1]:
        raise UserError(
            "Two models can be compared if their outputs have the same names. "
            f"Received: a={names[0]}, b={names[1]}"
        )


def _names(output):
    """The keys of a dict of outputs; None for any other structure."""
    return sorted(output) if isinstance(output, dict) else None


def _check_finite(outputs):
    """Refuses outputs of which nothing can be compared."""
    for output in outputs:
        if output.size and not np.isfinite(output).any():
            raise UserError(
                "verify compares finite outputs, and an output of `a` is "
                f"{output.flat[0]} for every input that was drawn. "
                f"Received: output of shape {output.shape}"
            )


def _run(graphs, samples):
    """Random inputs, and the outputs of each graph."""
    inputs = random_inputs(graphs[0], samples)
    return inputs, [_outputs(graph, graph.outputs, inputs) for graph in graphs]


def _in_float64(graphs, samples):
    """Float64 graphs, inputs, outputs; None where a layer refuses float64."""
    copies = [double(graph) for graph in graphs]
    if None in copies:
        return None
    graphs = [trace(copy) for copy in copies]
    try:
        return graphs, *_run(graphs, samples)
    except tf.errors.OpError:  # an operation without a float64 kernel
        return None


def _outputs(graph, tensors, inputs):
    """The values of some tensors, as float64 arrays."""
    values = graph.probe(tensors)(inputs, training=False)
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(value, "float64"))
        for value in keras.tree.flatten(values)
    ]
