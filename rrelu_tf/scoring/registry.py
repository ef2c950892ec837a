"""Scores by name."""

from rrelu_tf.errors import UserError
from rrelu_tf.scoring.bn import bn
from rrelu_tf.scoring.slope import slope
from rrelu_tf.strip.output_layers import output_layers

_METHODS = {"slope": slope, "bn": bn}


def score(model, method):
    """How important each channel is, by one method.

    Args:
        model: a functional `keras.Model`.
        method: "slope": |slope| of each rotated activation; "bn": |gamma| of
            each batch normalisation (network slimming).

    Returns:
        dict in the order of `model.layers`: layer name -> float array
        (channels,); higher is more important. Layers that make an output of
        the model are none of them: their channels cannot go.

    Raises:
        UserError: an unknown method, or a model without anything to score.
    """
    if method not in _METHODS:
        raise UserError(
            f"method must be one of {', '.join(_METHODS)}. "
            f"Received: method={method}"
        )
    outputs = output_layers(model)
    scores = {
        key: values
        for key, values in _METHODS[method](model).items()
        if key not in outputs
    }
    if not scores:
        raise UserError(
            f"No layer of the model has a {method} score. "
            f"Received: model={model.name}"
        )
    return scores
