"""Layers that keep channels apart: scales, norms, pools, pads."""

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.layers import (
    RGELU,
    BatchNormalization,
    RReLU,
    RSiLU,
    ZeroPadding2D,
)
from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import operation_class
from rrelu_tf.strip.rules.base import (
    ChannelWise,
    Elementwise,
    channel_axis,
    value,
)
from rrelu_tf.strip.rules.table import rule

_IMAGES = keras.KerasTensor((None, 4, 4, 1))


@rule(
    layers.AdaptiveAveragePooling1D,
    layers.AdaptiveAveragePooling2D,
    layers.AdaptiveAveragePooling3D,
    layers.AdaptiveMaxPooling1D,
    layers.AdaptiveMaxPooling2D,
    layers.AdaptiveMaxPooling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Cropping3D,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.UpSampling3D,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    operation_class(ops.average_pool, _IMAGES, 2),
    operation_class(ops.max_pool, _IMAGES, 2),
)
class Spatial(ChannelWise):
    """Pools and the like: a constant channel stays what it is."""


@rule(layers.GlobalAveragePooling1D)
class Averaged(ChannelWise):
    """The mean over all steps, or over those that a mask leaves."""

    def covers(self, call):
        """Known channels; a mask of steps by its name, if any."""
        masked = len(call.node.inputs) == 2
        mask = call.node.arguments.kwargs.get("mask")
        named = isinstance(mask, keras.KerasTensor)
        channels = call.shape_in()[channel_axis(call.layer)]
        return channels is not None and masked == named

    def map(self, call, values):
        """The same; of masked steps 0 only, as there may be no other."""
        if len(call.node.inputs) == 1:
            return values
        return np.where(values == 0, 0.0, np.nan)

    def needed(self, call):
        """The same channels as of the output, and the whole mask."""
        masks = [
            elements.uniform(True, call.shape_in(i))
            for i in range(1, len(call.node.inputs))
        ]
        return super().needed(call) + masks

    def twin(self, call):
        """The same layer over the output's channels."""
        twin = super().twin(call)
        for i in range(1, len(call.node.inputs)):
            twin.inputs.append(elements.whole(call.shape_in(i)))
        return twin


@rule(
    layers.ZeroPadding1D,
    *(layers.ZeroPadding2D, ZeroPadding2D),
    layers.ZeroPadding3D,
)
class Framed(ChannelWise):
    """A frame of zeros is put around: only 0 stays what it is."""

    def map(self, call, values):
        """0, or not known."""
        return np.where(values == 0, 0.0, np.nan)


@rule(
    layers.CenterCrop,
    layers.Resizing,
    operation_class(ops.image.resize, _IMAGES, (2, 2)),
)
class Resized(Framed):
    """Images of another size, perhaps with a frame."""

    def covers(self, call):
        """A batch of images, with no frame of another value than 0."""
        framed = getattr(call.layer, "fill_value", 0)
        return not framed and len(call.shape_in()) == 3 and super().covers(call)


@rule(
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.AlphaDropout,
    layers.ActivityRegularization,
)
class Dropout(Elementwise):
    """Nothing at inference; its noise may be the same along whole axes."""

    def covers(self, call):
        """No noise of a shape that may count the channels."""
        shape = getattr(call.layer, "noise_shape", None)
        fits = shape is None or (
            len(shape) == 1 + len(call.shape_in())
            and all(size in (1, None) for size in shape[1:])
        )
        return fits and super().covers(call)


@rule(RReLU, RGELU, RSiLU)
class RotatedActivation(Elementwise):
    """`slope * f(x)` with f(0) = 0: a slope of 0 is a dead channel."""

    def dead(self, call):
        """Slopes that are 0."""
        return _last(call, value(call.layer.slope) == 0)

    def map(self, call, values):
        """slope * f(x), in float64."""
        unit = keras.ops.convert_to_tensor(values, "float64")
        made = keras.ops.convert_to_numpy(call.layer.function(unit))
        return made * _last(call, value(call.layer.slope).astype("float64"))

    def weights(self, call, layout):
        """The kept slopes."""
        kept = elements.indices(layout, -1, call.shape_in())
        return {"slope": value(call.layer.slope)[kept]}


@rule(keras.layers.BatchNormalization, BatchNormalization)
class BatchNorm(Elementwise):
    """Batch normalisation over one axis, without renormalisation."""

    _NAMES = ("gamma", "beta", "moving_mean", "moving_variance")

    def covers(self, call):
        """No renormalisation."""
        return not call.layer.renorm and super().covers(call)

    def dead(self, call):
        """gamma and beta 0."""
        layer = call.layer
        if not layer.scale:
            return False
        dead = value(layer.gamma) == 0
        if layer.center:
            dead = dead & (value(layer.beta) == 0)
        return self._along(call, dead)

    def map(self, call, values):
        """gamma * (x - mean) / sqrt(variance + epsilon) + beta.

        A gamma of 0 leaves beta for any input.
        """
        parameters = self._parameters(call)
        gamma = parameters.get("gamma", 1.0)
        std = np.sqrt(parameters["moving_variance"] + call.layer.epsilon)
        made = gamma * (values - parameters["moving_mean"]) / std
        return made + parameters.get("beta", 0.0)

    def constant(self, call):
        """What known inputs become, and beta where gamma is 0."""
        (made,) = super().constant(call)
        if call.layer.scale:
            parameters = self._parameters(call)
            beta = parameters.get("beta", 0.0)
            made = np.where(parameters["gamma"] == 0, beta, made)
        return [made]

    def weights(self, call, layout):
        """Scale, offset and statistics of the kept channels."""
        axis = self._axis(call)
        kept = elements.indices(layout, axis, call.shape_in())
        return {
            name: value(getattr(call.layer, name))[kept]
            for name in self._NAMES
            if getattr(call.layer, name) is not None
        }

    def _axis(self, call):
        axis = call.layer.axis
        return axis - 1 if axis > 0 else axis

    def _along(self, call, vector):
        return elements.along(vector, self._axis(call), len(call.shape_in()))

    def _parameters(self, call):
        return {
            name: self._along(call, value(variable).astype("float64"))
            for name in self._NAMES
            if (variable := getattr(call.layer, name)) is not None
        }


@rule(layers.PReLU)
class ParametricReLU(Elementwise):
    """`max(x, 0) + alpha * min(x, 0)`; alpha varies along any axes."""

    def map(self, call, values):
        """The formula, in float64."""
        alpha = value(call.layer.alpha).astype("float64")
        return np.maximum(values, 0) + alpha * np.minimum(values, 0)

    def weights(self, call, layout):
        """The kept slopes."""
        return {"alpha": elements.take(value(call.layer.alpha), layout)}


@rule(layers.Rescaling)
class Rescaling(Elementwise):
    """`scale * x + offset`, each a number or a list along the last axis."""

    def map(self, call, values):
        """The formula, in float64."""
        scale, offset = self._pair(call)
        return values * scale + offset

    def constant(self, call):
        """What known inputs become, and the offset where the scale is 0."""
        (made,) = super().constant(call)
        scale, offset = self._pair(call)
        return [np.where(scale == 0, offset, made)]

    def narrow(self, call, layout):
        """The same layer, its lists as long as what stays."""
        pair = {"scale": call.layer.scale, "offset": call.layer.offset}
        for name, given in pair.items():
            if np.ndim(given):
                kept = elements.take(self._spread(call, given), layout)
                kept = kept.reshape(kept.shape[-np.ndim(given) :])
                is_list = isinstance(given, (list, tuple))
                pair[name] = kept.tolist() if is_list else kept
        serialize = keras.saving.serialize_keras_object
        return clone(
            call.layer, **{name: serialize(x) for name, x in pair.items()}
        )

    def covers(self, call):
        """Lists that are laid along the last axes."""
        first = keras.config.image_data_format() == "channels_first"
        listed = np.ndim(call.layer.scale) or np.ndim(call.layer.offset)
        return not (first and listed) and super().covers(call)

    def _pair(self, call):
        return [
            self._spread(call, given)
            for given in (call.layer.scale, call.layer.offset)
        ]

    def _spread(self, call, given):
        # Keras rounds Python's numbers to float32, whatever it computes in.
        is_array = hasattr(given, "dtype")
        given = np.asarray(given, None if is_array else "float32")
        given = given.astype("float64")
        missing = len(call.shape_in()) - given.ndim
        return given.reshape((1,) * missing + given.shape)


@rule(layers.Normalization)
class Normalization(Elementwise):
    """`(x - mean) / std` over any axes, adapted to data or given."""

    def map(self, call, values):
        """The formula, or its inverse, in float64."""
        mean, variance = self._statistics(call)
        std = np.maximum(np.sqrt(variance), keras.config.epsilon())
        if call.layer.invert:
            return mean + values * std
        return (values - mean) / std

    def covers(self, call):
        """Statistics that are there."""
        return call.layer.mean is not None and super().covers(call)

    def weights(self, call, layout):
        """None are left where the statistics are given to the layer."""
        return {} if all(kept is None for kept in layout) else None

    def narrow(self, call, layout):
        """The layer with the kept statistics, given to it."""
        if all(kept is None for kept in layout):
            return clone(call.layer)
        mean, variance = (
            np.squeeze(
                elements.take(statistic, layout),
                axis=tuple(
                    axis
                    for axis in range(statistic.ndim)
                    if axis + 1 not in self._axes(call)
                ),
            )  # not as a list, which Keras rounds to float32
            for statistic in self._statistics(call)
        )
        return clone(call.layer, mean=mean, variance=variance)

    def _axes(self, call):
        rank = len(call.shape_in()) + 1
        return [axis % rank for axis in call.layer.axis]

    def _statistics(self, call):
        shape = (1,) * len(call.shape_in())
        for statistic in (call.layer.mean, call.layer.variance):
            found = value(statistic).astype("float64")
            yield found[0] if found.ndim > len(shape) else found.reshape(shape)


def _last(call, vector):
    return elements.along(vector, -1, len(call.shape_in()))
