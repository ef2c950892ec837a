"""Layers that keep channels apart: scales, norms, pools, pads."""

import keras
from keras import layers

from rrelu_tf.layers import RGELU, BatchNormalization, RReLU, RSiLU
from rrelu_tf.strip.rules.base import ChannelWise, value
from rrelu_tf.strip.rules.table import rule


@rule(
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
    layers.ZeroPadding3D,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
class Spatial(ChannelWise):
    """Pools, zero padding, dropout: nothing per channel, 0 stays 0."""


@rule(layers.Dropout)
class Dropout(Spatial):
    """Dropout, unless its noise has a shape: that may count the channels."""

    def covers(self, call):
        """No noise shape."""
        return call.layer.noise_shape is None and super().covers(call)


@rule(RReLU, RGELU, RSiLU)
class RotatedActivation(ChannelWise):
    """`slope * f(x)` with f(0) = 0: a slope of 0 is a dead channel."""

    def dead(self, layer):
        """Slopes that are 0."""
        return value(layer.slope) == 0

    def weights(self, layer, kept):
        """The kept slopes."""
        return {"slope": value(layer.slope)[kept]}


@rule(keras.layers.BatchNormalization, BatchNormalization)
class BatchNorm(ChannelWise):
    """Batch normalisation over the last axis, without renormalisation."""

    _NAMES = ("gamma", "beta", "moving_mean", "moving_variance")

    def covers(self, call):
        """The last axis, and no renormalisation."""
        last = call.layer.axis in (-1, len(call.shape_in()) - 1)
        return last and not call.layer.renorm and super().covers(call)

    def dead(self, layer):
        """gamma and beta 0."""
        if not layer.scale:
            return False
        gamma = value(layer.gamma) == 0
        return gamma & (value(layer.beta) == 0) if layer.center else gamma

    def silent(self, layer):
        """beta - gamma * mean / std 0: what is left of a 0."""
        still = value(layer.moving_mean) == 0
        if layer.scale:
            still = still | (value(layer.gamma) == 0)
        return still & (value(layer.beta) == 0) if layer.center else still

    def weights(self, layer, kept):
        """Scale, offset and statistics of the kept channels."""
        return {
            name: value(getattr(layer, name))[kept]
            for name in self._NAMES
            if getattr(layer, name) is not None
        }
