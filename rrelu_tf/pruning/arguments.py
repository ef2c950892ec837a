"""Whether what `select` is asked makes sense."""

import math
import numbers

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.groups import REDUCTIONS, SCOPES
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.output_layers import output_layers

ALIGNMENTS = ("gather", "couple")


def one_amount(amounts):
    """The name and value of the one amount that is given.

    Args:
        amounts: dict: name -> number or None.

    Raises:
        UserError: none or several, or a value outside its range.
    """
    given = {k: value for k, value in amounts.items() if value is not None}
    if len(given) != 1:
        shown = ", ".join(f"{k}={value}" for k, value in given.items())
        raise UserError(
            f"Exactly one of {', '.join(amounts)} must be given. "
            f"Received: {shown or 'threshold=None'}"
        )
    ((name, value),) = given.items()
    finite = _is_number(value) and math.isfinite(value)
    if name == "threshold":
        fine = finite and value >= 0
        rule = "A threshold must be a finite number of at least 0"
    elif name == "sparsity":
        fine = finite and 0 <= value < 1
        rule = "A sparsity must lie in [0, 1)"
    else:
        fine = finite and value > 0 and value != 1
        rule = "A budget must be a fraction in (0, 1) or an amount above 1"
    if not fine:
        raise UserError(f"{rule}. Received: {name}={value}")
    return name, value


def check_options(scope, align, reduce, min_fraction, round_to):
    """Refuses options outside their range."""
    for name, value, known in (
        ("scope", scope, SCOPES),
        ("align", align, ALIGNMENTS),
        ("reduce", reduce, REDUCTIONS),
    ):
        if value not in known:
            raise UserError(
                f"{name} must be one of {', '.join(known)}. "
                f"Received: {name}={value}"
            )
    if not (_is_number(min_fraction) and 0 <= min_fraction < 1):
        raise UserError(
            "min_fraction must lie in [0, 1). "
            f"Received: min_fraction={min_fraction}"
        )
    whole = isinstance(round_to, numbers.Integral) and _is_number(round_to)
    if not (whole and round_to >= 1):
        raise UserError(
            "round_to must be a whole number of at least 1. "
            f"Received: round_to={round_to}"
        )


def check_model(model, name, align):
    """Refuses to do without a model what needs one."""
    if model is None and (align == "couple" or name not in _WITHOUT_MODEL):
        what = "align=couple" if align == "couple" else f"A {name} budget"
        raise UserError(f"{what} needs the scored model. Received: model=None")


_WITHOUT_MODEL = ("threshold", "sparsity")


def check_protocol(protocol, name, amount, model, seed_round):
    """Refuses what the authors' protocol does not do, or only it does."""
    if protocol is None:
        if seed_round is not None:
            raise UserError(
                "seed_round is one of protocol=seed. "
                f"Received: seed_round={seed_round}"
            )
        return
    if name != "sparsity":
        raise UserError(
            f"protocol=seed selects by sparsity. Received: {name}={amount}"
        )
    if model is None:
        raise UserError(
            "protocol=seed needs the scored model. Received: model=None"
        )


def as_arrays(scores):
    """The scores as arrays, dict: key -> array; refuses to do without any."""
    if not isinstance(scores, dict) or not scores:
        received = scores if scores == {} else type(scores).__name__
        raise UserError(
            "Scores must be a dict of at least one layer's array. "
            f"Received: scores={received}"
        )
    return {key: _as_array(key, values) for key, values in scores.items()}


def _as_array(key, values):
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of several lengths
        raise UserError(
            "Scores must be arrays of numbers of shape (channels,). "
            f"Received: {key}={type(values).__name__}"
        ) from error


def check_scores(scores, model):
    """Refuses scores that are not numbers or do not fit the model.

    Args:
        scores: dict: key -> array.
        model: the `keras.Model` scored, or None.
    """
    widths, outputs = {}, set()
    if model is not None:
        outputs = output_layers(model)
        for graph, node, key in walk(trace(model)):
            widths[key] = graph.channels(node)
    for key, values in scores.items():
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise UserError(
                "Scores must be arrays of numbers of shape (channels,). "
                f"Received: {key}={values.dtype} array of shape {values.shape}"
            )
        missing = int(np.isnan(values).sum())
        if missing:
            raise UserError(
                "Scores must be numbers. "
                f"Received: {key}={missing} NaN of {len(values)}"
            )
        if model is None:
            continue
        if key not in widths:
            raise UserError(
                "Every key of `scores` must name a layer of the model. "
                f"Received: key={key}"
            )
        if key in outputs:
            raise UserError(
                "No channel of an output of the model can go: its layer must "
                f"have no scores. Received: key={key}"
            )
        if len(values) != widths[key]:
            raise UserError(
                f"Scores of {key} must be of shape ({widths[key]},). "
                f"Received: {key}=array of shape {values.shape}"
            )


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
