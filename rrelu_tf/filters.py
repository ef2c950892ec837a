"""The kernels of a model, filter by filter."""

import dataclasses
import math
from typing import Any

from keras import layers

from rrelu_tf.strip.graph import layers_of

_LAST = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (
    *(layers.Conv1DTranspose, layers.Conv2DTranspose),
    layers.Conv3DTranspose,
)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
# Kind of layer -> its kernels: name, the layer's argument that regularises
# it, axes of its filters.
_KERNELS = (
    (_LAST, [("kernel", "kernel_regularizer", -1)]),
    (_TRANSPOSED, [("kernel", "kernel_regularizer", -2)]),
    (_DEPTHWISE, [("kernel", "depthwise_regularizer", (-2, -1))]),
    (
        _SEPARABLE,
        [
            ("depthwise_kernel", "depthwise_regularizer", (-2, -1)),
            ("pointwise_kernel", "pointwise_regularizer", -1),
        ],
    ),
    ((layers.Dense,), [("kernel", "kernel_regularizer", -1)]),
)
_KINDS = tuple(kind for kinds, _ in _KERNELS for kind in kinds)


@dataclasses.dataclass(frozen=True)
class Filters:
    """One kernel of a layer.

    Attributes:
        key: the layer's key, `outer/inner` in a nested model; of a separable
            convolution, which has two kernels, with `/<kernel>` behind it.
        layer: the built Keras layer.
        kernel: name of its variable.
        regularizer: name of the layer's argument that regularises it.
        axes: the kernel's axis, or axes, along which the filters lie.
        kind: "depthwise", "pointwise" (all kernel sizes 1), "conv" or "dense".
    """

    key: str
    layer: Any
    kernel: str
    regularizer: str
    axes: Any
    kind: str

    @property
    def variable(self):
        """The `keras.Variable`."""
        return getattr(self.layer, self.kernel)

    @property
    def bias(self):
        """The variable of the filters' biases, or None."""
        # That of a separable convolution belongs to its pointwise kernel.
        if self.kernel == "depthwise_kernel":
            return None
        return self.layer.bias

    @property
    def count(self):
        """int: how many filters there are."""
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes,)
        return math.prod(self.variable.shape[axis] for axis in axes)

    @property
    def fan_in(self):
        """int: entries of a filter, its bias not counted."""
        return math.prod(self.variable.shape) // self.count


def of(model, *, dense=False):
    """The kernels of convolutions, and of dense layers if asked for.

    Quantised layers and those with LoRA, which compute with another kernel,
    are left out, and those inside wrappers (`TimeDistributed`).

    Args:
        model: a functional or built Sequential `keras.Model`.
        dense: whether `Dense` counts.

    Returns:
        List of `Filters` in forward order, nested models too.
    """
    kinds = (*_LAST, *_TRANSPOSED, *_DEPTHWISE, *_SEPARABLE)
    kinds += (layers.Dense,) * dense
    return [
        found
        for key, layer in layers_of(model, kinds).items()
        if not _computes_otherwise(layer)
        for found in _kernels(key, layer)
    ]


def of_channels(layer):
    """The kernel that makes a layer's channels, one filter each.

    Of a separable convolution the pointwise one: its depthwise kernel's
    filters make no channel of the output. An `EinsumDense` has such filters if
    its kernel makes the last axis of its output and no other one, and its
    bias, if any, lies along that axis.

    Args:
        layer: any built Keras layer.

    Returns:
        `Filters` without a key; None for any other layer.
    """
    if not isinstance(layer, (*_KINDS, layers.EinsumDense)):
        return None
    if _computes_otherwise(layer):
        return None
    if isinstance(layer, layers.EinsumDense):
        return _of_einsum(layer)
    return list(_kernels("", layer))[-1]


def _of_einsum(layer):
    operands, made = layer.equation.replace(" ", "").split("->")
    given, letters = operands.split(",")
    new = [letter for letter in letters if letter not in given]
    if new != [made[-1]] or made[-1] not in (layer.bias_axes or made):
        return None
    axis = letters.index(made[-1]) - len(letters)
    return Filters("", layer, "kernel", "kernel_regularizer", axis, "dense")


def _kernels(key, layer):
    names = next(names for kinds, names in _KERNELS if isinstance(layer, kinds))
    for kernel, regularizer, axes in names:
        own = key if len(names) == 1 else f"{key}/{kernel}"
        kind = _kind(layer, kernel, axes)
        yield Filters(own, layer, kernel, regularizer, axes, kind)


def _kind(layer, kernel, axes):
    if isinstance(layer, layers.Dense):
        return "dense"
    if isinstance(axes, tuple):
        return "depthwise"
    alone = math.prod(layer.kernel_size) == 1
    return "pointwise" if alone or kernel == "pointwise_kernel" else "conv"


def _computes_otherwise(layer):
    quantized = getattr(layer, "quantization_mode", None) is not None
    return quantized or getattr(layer, "lora_enabled", False)
