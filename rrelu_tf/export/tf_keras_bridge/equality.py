"""Whether a tf_keras model computes what its Keras 3 source does."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.strip.draws import random_inputs
from rrelu_tf.strip.graph import trace
from rrelu_tf.strip.trials import distance

_SAMPLES = 8
# Coarsest dtype that a layer computes in -> difference by rounding.
_TOLERANCES = {
    "bfloat16": 5e-2,
    "float16": 1e-2,
    "float32": 1e-5,
    "float64": 1e-10,
}


def check(model, twin):
    """Compares two models of different Kerases on random inputs.

    Args:
        model: the functional Keras 3 model.
        twin: the tf_keras model.

    Returns:
        float: the largest difference over the largest output.

    Raises:
        UserError: they differ by more than 1e-5 (in float32).
    """
    graph = trace(model)
    inputs = random_inputs(graph, _SAMPLES)
    outputs = []
    for functional in (graph.model, twin):
        given = keras.tree.pack_sequence_as(functional.input, inputs)
        made = keras.tree.flatten(functional(given, training=False))
        outputs.append([np.asarray(array, "float64") for array in made])
    _, relative = distance(*outputs)
    tolerance = _tolerance(model)
    if not relative <= tolerance:
        raise UserError(
            f"Its tf_keras model differs by {relative:.3g} of the largest "
            f"output, more than {tolerance:g}: some layer computes otherwise "
            f"there. Received: model={model.name}"
        )
    return relative


def _tolerance(model):
    used = {layer.compute_dtype for layer in model.layers}
    return next(
        (limit for dtype, limit in _TOLERANCES.items() if dtype in used), 1e-5
    )
