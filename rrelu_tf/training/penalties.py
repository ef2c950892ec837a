"""L1 on slopes and on BN scales, for a model that is already there."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of


def add(model, *, slope_l1=0.0, gamma_l1=0.0):
    """Sets penalties in a model's loss; a factor of 0 leaves them as they are.

    The gradient of each is its factor times the sign, 0 at 0: on slopes as in
    the RReLU authors' code, on the gammas of all batch normalisations as in
    network slimming (Liu et al., 2017).

    Args:
        model: the built `keras.Model`; changed in place.
        slope_l1: at least 0.
        gamma_l1: at least 0.

    Raises:
        UserError: a penalty on weights that the model does not have.
    """
    if slope_l1:
        slopes = layers_of(model, Rotated)
        _penalize(slopes.values(), "slope", "slope_l1", slope_l1)
    if gamma_l1:
        norms = layers_of(model, keras.layers.BatchNormalization)
        scaled = [layer for layer in norms.values() if layer.scale]
        _penalize(scaled, "gamma", "gamma_l1", gamma_l1)


def _penalize(layers, name, option, factor):
    if not layers:
        raise UserError(
            f"{option} needs a model that has a weight called {name}. "
            f"Received: {option}={factor}"
        )
    for layer in layers:
        penalty = keras.regularizers.L1(factor)
        setattr(layer, f"{name}_regularizer", penalty)
        getattr(layer, name).regularizer = penalty
