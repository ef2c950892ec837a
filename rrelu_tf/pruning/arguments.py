"""Whether what `select` is asked makes sense."""

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.groups import REDUCTIONS
from rrelu_tf.strip.graph import trace, walk
from rrelu_tf.strip.output_layers import output_layers


def check_reduce(reduce):
    """Refuses a way to reduce a group's scores that there is not."""
    if reduce not in REDUCTIONS:
        raise UserError(
            f"reduce must be one of {', '.join(REDUCTIONS)}. "
            f"Received: reduce={reduce}"
        )


def check_model(model, name, align):
    """Refuses to do without a model what needs one."""
    alone = align == "gather"
    if model is None and not (alone and name in _WITHOUT_MODEL):
        what = f"A {name} budget" if alone else f"align={align}"
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
