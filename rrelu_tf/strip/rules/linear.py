"""Convolutions and dense layers: every output mixes its group's inputs."""

import abc
import math

import keras
import numpy as np

from rrelu_tf import layers
from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules import kernels
from rrelu_tf.strip.rules.activations import activated, is_elementwise
from rrelu_tf.strip.rules.base import Rule, Twin, channel_axis, value
from rrelu_tf.strip.rules.table import rule


class Channels(Rule):
    """One input and one output of known channels, and an activation."""

    barrier = None

    def covers(self, call):
        """No quantised kernel, no LoRA, one input of known channels."""
        layer = call.layer
        return (
            len(call.node.inputs) == 1
            and getattr(layer, "quantization_mode", None) is None
            and not getattr(layer, "lora_enabled", False)
            and call.shape_in()[channel_axis(layer)] is not None
        )

    def everywhere(self, layer):
        """Whether an input channel meets the same taps at every position."""
        if math.prod(getattr(layer, "kernel_size", ())) == 1:
            return True
        return getattr(layer, "padding", "valid") == "valid"

    def known(self, call):
        """float (channels,): inputs that are one known number everywhere."""
        axis = channel_axis(call.layer)
        size = call.shape_in()[axis]
        return elements.common(call.constant[0], axis, size)

    def folded(self, call):
        """bool (channels,): inputs whose share goes into the bias, or is 0."""
        known = self.known(call)
        folds = call.graph.fold and self.everywhere(call.layer)
        return ~np.isnan(known) & ((known == 0) | folds)

    def outputs(self, call):
        """bool: live outputs; all if the activation mixes channels."""
        axis, shape = channel_axis(call.layer), call.shape_out()
        if is_elementwise(call.layer.activation):
            return elements.vector(call.alive[0], axis, shape[axis])
        return np.ones(shape[axis], bool)

    def columns(self, call, count=np.size):
        """ints: the outputs to compute, one at the least.

        With channels first, Keras 3.15's eager `add` lays a bias along the last
        axis if that is as long: there is one more then.

        Args:
            call: a `Call`.
            count: function of these, how many the twin will have.
        """
        columns = np.flatnonzero(self.outputs(call))
        columns = columns if columns.size else np.array([0])
        axis, shape = channel_axis(call.layer), call.shape_out()
        constants = self.folded(call) & (self.known(call) != 0)
        if axis == 0 and (call.layer.use_bias or constants.any()):
            while 1 < count(columns) == shape[-1] < shape[0]:
                others = np.setdiff1d(np.arange(shape[0]), columns)
                columns = np.sort(np.append(columns, others[0]))
        return columns

    def wanted(self, call):
        """ints: inputs that are there, then known ones to be filled in.

        If there are such, only those that are needed of what is there. None
        at all if none is needed: nothing but a shape is wanted then.
        """
        axis, shape = channel_axis(call.layer), call.shape_in()
        needed = elements.vector(self.needed(call)[0], axis, shape[axis])
        if not needed.any():
            return np.array([], int)
        known = self.known(call)
        have = elements.indices(call.have[0], axis, shape)
        if not (elements.indices(call.held[0], axis, shape) >= 0).any():
            have = np.array([], int)  # nothing is there but the shape
        filled = np.flatnonzero(needed & ~np.isnan(known) & (known != 0))
        filled = np.setdiff1d(filled, have)
        if filled.size:  # by a gather, which can leave out what is not needed
            have = have[needed[have]]
        return np.concatenate([have, filled])

    def left_out(self, call, rows):
        """float (channels,): what known inputs that are no rows would give."""
        left = np.where(self.folded(call), self.known(call), 0.0)
        left[rows] = 0.0
        return left

    def bias(self, layer):
        """float64 (outputs,), or 0."""
        return value(layer.bias).astype("float64") if layer.use_bias else 0.0

    def made(self, call, before):
        """The output's constants, given those before bias and activation."""
        outputs = activated(
            call.layer.activation, before + self.bias(call.layer)
        )
        return [self.spread(call, outputs, call.shape_out())]

    def reached(self, call, needed):
        """The inputs needed: nothing where nothing is live; no folded ones."""
        needed = needed & ~self.folded(call) & call.alive[0].any()
        return [self.spread(call, needed, call.shape_in())]

    def spread(self, call, channels, shape):
        """Channels as an array of a tensor's rank."""
        return elements.along(channels, channel_axis(call.layer), len(shape))


class Linear(Channels, abc.ABC):
    """A kernel, in groups, an optional bias, an optional activation.

    An output is known if all inputs that reach it are. A known input that
    reaches every position alike goes into the bias if the graph is to be
    folded: the bias is rounded then. All groups of the twin are as wide as
    their widest needs: the others are filled up with zeros.
    """

    widens = "its groups are all as wide as the widest"

    @abc.abstractmethod
    def kernel(self, layer):
        """float array (taps, groups, in, out)."""

    @abc.abstractmethod
    def narrow(self, layer, kernel):
        """(constructor's arguments, kernel in the layer's own shape)."""

    def constant(self, call):
        """Outputs that only known inputs reach."""
        kernel, everywhere = (
            self.kernel(call.layer),
            self.everywhere(call.layer),
        )
        before = kernels.propagate(kernel, self.known(call), everywhere)
        return self.made(call, before)

    def needed(self, call):
        """Inputs that reach a live output, unless they go into the bias."""
        kernel = self.kernel(call.layer)
        return self.reached(call, kernels.reaches(kernel, self.outputs(call)))

    def twin(self, call):
        """The kernel's rows of the inputs there are, its live columns."""
        layer, kernel = call.layer, self.kernel(call.layer)
        _, _, fan_in, fan_out = kernel.shape

        def even(columns):
            return kernels.even(columns, np.unique(columns // fan_out), fan_out)

        columns = self.columns(call, lambda columns: even(columns).size)
        groups = np.unique(columns // fan_out)
        rows = kernels.even(self.wanted(call), groups, fan_in)
        columns = even(columns)
        left = self.left_out(call, rows[rows >= 0])
        bias = (self.bias(layer) + kernels.product(kernel, left))[columns]
        bias = np.where(columns < 0, 0, bias).ravel()
        use_bias = layer.use_bias or bool(bias.any())
        kernel = kernels.cut(kernel, groups, rows, columns)
        options, kernel = self.narrow(layer, kernel)
        axis = channel_axis(layer)
        return Twin(
            clone(layer, use_bias=use_bias, **options),
            [elements.only(axis, rows.ravel(), call.shape_in())],
            [elements.only(axis, columns.ravel(), call.shape_out())],
            {"kernel": kernel, **({"bias": bias} if use_bias else {})},
        )


@rule(
    *(keras.layers.Conv1D, layers.AugmentedConv1D),
    *(keras.layers.Conv2D, layers.Conv2D, layers.AugmentedConv2D),
    *(keras.layers.Conv3D, layers.AugmentedConv3D),
)
class Convolution(Linear):
    """Conv1D, Conv2D, Conv3D, grouped or not."""

    def kernel(self, layer):
        """float array (taps, groups, in, out)."""
        kernel = value(layer.kernel)
        shape = (
            -1,
            kernel.shape[-2],
            layer.groups,
            layer.filters // layer.groups,
        )
        return kernel.reshape(shape).transpose(0, 2, 1, 3)

    def narrow(self, layer, kernel):
        """So many groups and filters."""
        _, groups, fan_in, fan_out = kernel.shape
        options = {"filters": groups * fan_out, "groups": groups}
        kernel = kernel.transpose(0, 2, 1, 3)
        return options, kernel.reshape(*layer.kernel_size, fan_in, -1)


@rule(
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
class Transposed(Linear):
    """Transposed convolutions, whose kernel is `(taps, out, in)`."""

    def everywhere(self, layer):
        """Only with a single tap: others meet fewer taps at the borders."""
        return math.prod(layer.kernel_size) * math.prod(layer.strides) == 1

    def kernel(self, layer):
        """float array (taps, 1, in, out)."""
        kernel = value(layer.kernel)
        kernel = kernel.reshape(-1, *kernel.shape[-2:])
        return kernel.transpose(0, 2, 1)[:, None]

    def narrow(self, layer, kernel):
        """So many filters."""
        kernel = kernel[:, 0].transpose(0, 2, 1)
        kernel = kernel.reshape(*layer.kernel_size, *kernel.shape[1:])
        return {"filters": kernel.shape[-2]}, kernel


@rule(
    *(keras.layers.DepthwiseConv1D, layers.AugmentedDepthwiseConv1D),
    *(keras.layers.DepthwiseConv2D, layers.DepthwiseConv2D),
    layers.AugmentedDepthwiseConv2D,
)
class Depthwise(Linear):
    """Depthwise convolutions of any multiplier: a group for each channel."""

    def tied(self, call, ties):
        """Each input channel's outputs are that channel."""
        numbers = np.nan_to_num(self.known(call))
        numbers = np.repeat(numbers, call.layer.depth_multiplier)
        return [self.spread(call, numbers, call.shape_out())]

    def kernel(self, layer):
        """float array (taps, channels, 1, multiplier)."""
        kernel = value(layer.kernel)
        return kernel.reshape(-1, *kernel.shape[-2:])[:, :, None]

    def narrow(self, layer, kernel):
        """So many multiples of each channel that stays."""
        _, channels, _, multiplier = kernel.shape
        kernel = kernel.reshape(*layer.kernel_size, channels, multiplier)
        return {"depth_multiplier": multiplier}, kernel


@rule(keras.layers.Dense, layers.AugmentedDense)
class Dense(Linear):
    """Dense, over the last axis of any rank."""

    def kernel(self, layer):
        """float array (1, 1, in, out)."""
        return value(layer.kernel)[None, None]

    def narrow(self, layer, kernel):
        """So many units."""
        return {"units": kernel.shape[-1]}, kernel[0, 0]


@rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class Separable(Channels):
    """A depthwise convolution, then a full matrix over its outputs."""

    def constant(self, call):
        """Outputs that only known inputs reach."""
        depthwise, pointwise = self._kernels(call.layer)
        everywhere = self.everywhere(call.layer)
        middle = kernels.propagate(depthwise, self.known(call), everywhere)
        return self.made(call, kernels.propagate(pointwise, middle, True))

    def needed(self, call):
        """Inputs that reach a live output, unless they go into the bias."""
        depthwise, pointwise = self._kernels(call.layer)
        middle = kernels.reaches(pointwise, self.outputs(call))
        return self.reached(call, kernels.reaches(depthwise, middle))

    def twin(self, call):
        """Both kernels, for the inputs there are and the live outputs."""
        layer = call.layer
        depthwise, pointwise = self._kernels(layer)
        rows, columns = self.wanted(call), self.columns(call)
        rows = rows if rows.size else np.array([-1])
        left = self.left_out(call, rows[rows >= 0])
        middle = kernels.product(depthwise, left)
        bias = self.bias(layer) + kernels.product(pointwise, middle)
        use_bias = layer.use_bias or bool(bias[columns].any())
        multiples = np.arange(layer.depth_multiplier)
        middle = (rows[:, None] * layer.depth_multiplier + multiples).ravel()
        there = rows[:, None] >= 0  # a row of zeros makes nothing of anything
        weights = {
            "depthwise_kernel": value(layer.depthwise_kernel)[..., rows, :]
            * there,
            "pointwise_kernel": value(layer.pointwise_kernel)[
                ..., middle[:, None], columns
            ],
        }
        if use_bias:
            weights["bias"] = bias[columns]
        axis = channel_axis(layer)
        return Twin(
            clone(layer, use_bias=use_bias, filters=len(columns)),
            [elements.only(axis, rows, call.shape_in())],
            [elements.only(axis, columns, call.shape_out())],
            weights,
        )

    def _kernels(self, layer):
        depthwise = value(layer.depthwise_kernel)
        depthwise = depthwise.reshape(-1, *depthwise.shape[-2:])[:, :, None]
        pointwise = value(layer.pointwise_kernel)
        return depthwise, pointwise.reshape(1, 1, *pointwise.shape[-2:])
