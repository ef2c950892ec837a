"""Whether what `prune_channels` is asked makes sense."""

import numbers

import keras

from rrelu_tf.amounts import SCOPES
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.wrappers import kinds


def check_layer(layer, score):
    """Refuses a score that there is not, or that the layer has not."""
    kinds.check(score)
    if not isinstance(layer, keras.layers.Layer) or not kinds.accepts(
        layer, score
    ):
        kind = type(layer).__name__
        raise UserError(
            f"The score {score} is of {kinds.described(score)}. "
            f"Received: {getattr(layer, 'name', 'layer')}={kind}"
        )


def check(scope, soft, min_fraction, score_options):
    """Refuses options outside their range."""
    fraction = 0 if min_fraction is None else min_fraction
    number = isinstance(fraction, numbers.Real) and fraction is not True
    for name, value, fine, rule in (
        ("scope", scope, scope in SCOPES, f"one of {', '.join(SCOPES)}"),
        ("soft", soft, isinstance(soft, bool), "True or False"),
        (
            "min_fraction",
            min_fraction,
            number and 0 <= fraction < 1,
            "None or in [0, 1)",
        ),
        (
            "score_options",
            score_options,
            isinstance(score_options, (dict, type(None))),
            "None or a dict of arguments of rrelu_tf.score",
        ),
    ):
        if not fine:
            raise UserError(f"{name} must be {rule}. Received: {name}={value}")
