"""L1 on slopes and on BN scales, for a model that is already there."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of


def give(model, *, slope_l1=0.0, gamma_l1=0.0):
    """Makes the L1 penalties in a model's loss these, and no others.

    The gradient of each is its factor times the sign, 0 at 0: on slopes as in
    the RReLU authors' code, on the gammas of all batch normalisations as in
    network slimming (Liu et al., 2017).

    Args:
        model: the built `keras.Model`; changed in place.
        slope_l1: at least 0. 0 takes a `keras.regularizers.L1` of the slopes
            off, which a model that another run trained brings along.
        gamma_l1: at least 0; the same of the gammas.

    Raises:
        UserError: a penalty on weights that the model does not have.
    """
    slopes = layers_of(model, Rotated).values()
    _penalize(slopes, "slope", "slope_l1", slope_l1)
    norms = layers_of(model, keras.layers.BatchNormalization).values()
    scaled = [layer for layer in norms if layer.scale]
    _penalize(scaled, "gamma", "gamma_l1", gamma_l1)


def _penalize(layers, name, option, factor):
    if factor and not layers:
        raise UserError(
            f"{option} needs a model that has a weight called {name}. "
            f"Received: {option}={factor}"
        )
    for layer in layers:
        found = getattr(layer, f"{name}_regularizer")
        if factor or isinstance(found, keras.regularizers.L1):
            penalty = keras.regularizers.L1(factor) if factor else None
            setattr(layer, f"{name}_regularizer", penalty)
            getattr(layer, name).regularizer = penalty
