"""Which layers each score is of."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.scoring import filters, methods
from rrelu_tf.scoring.scored import inner_layers


def accepts(layer, score):
    """Whether a score is of layers of this kind.

    Args:
        layer: a `keras.layers.Layer`, built or not.
        score: name of a method of `rrelu_tf.score`.
    """
    if score == "slope":
        return isinstance(layer, Rotated)
    if score in ("bn", "tfo"):
        norm = keras.layers.BatchNormalization
        return isinstance(layer, norm) and layer.scale
    return filters.has_filters(layer)


def described(score):
    """What a score is of, in words."""
    if score == "slope":
        return "rotated activations"
    if score in ("bn", "tfo"):
        return "batch normalisations with a scale"
    return "convolutions and dense layers"


def check(score):
    """Refuses a score that there is not."""
    if score not in methods():
        raise UserError(
            f"score must be one of {', '.join(methods())}. "
            f"Received: score={score}"
        )


def prunable(model, score):
    """The layers of a model that have such a score, outputs' ones not.

    Args:
        model: a functional or built Sequential `keras.Model` without wrappers.
        score: name of a method of `rrelu_tf.score`.

    Returns:
        dict in forward order: key, `outer/inner` in a nested model -> layer.
    """
    found = inner_layers(model, keras.layers.Layer)
    return {key: x for key, x in found.items() if accepts(x, score)}


def channels(layer):
    """Number of a built layer's channels."""
    if isinstance(layer, Rotated):
        return layer.slope.shape[-1]
    if isinstance(layer, keras.layers.BatchNormalization):
        return layer.gamma.shape[-1]
    return filters.channels(layer)
