"""The CIFAR ResNets of He et al. (2016), post-activation.

As in the RReLU authors' code: the stem keeps its plain activation, each basic
block has a rotated one inside and one behind the Add, so that a dead slope
there cuts the residual stream itself. `resnet56` has their shortcuts without
weights (option A), `resnet56_b` those of the OrthoReg authors' ResNet-56, 1x1
convs with a norm (option B).
"""

import functools
import math

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather
from rrelu_tf.models.blocks import Blocks, torch_kernels, torch_uniform
from rrelu_tf.models.registry import register

_DEPTHS = (8, 14, 20, 32, 44, 56, 110)
_DEPTH = "|".join(map(str, _DEPTHS))
_WIDTHS = (16, 32, 64)


@register(
    rf"resnet({_DEPTH})", [f"resnet{depth}" for depth in _DEPTHS], ["width"]
)
def cifar_resnet(
    depth,
    *,
    num_classes,
    input_shape,
    activation,
    name,
    width=1.0,
    **options,
):
    """ResNet of `depth` = 6n + 2 layers: n basic blocks per stage.

    Args:
        depth: 8, 14, 20, 32, 44, 56 or 110; the first two are not He et al.'s.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, sides of at least 4.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        width: factor on the channels 16, 32, 64 of the stages, rounded down.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    # kaiming_normal_ of the authors' code: fan-in, gain sqrt 2, not truncated.
    kaiming = keras.initializers.VarianceScaling(
        2.0, "fan_in", "untruncated_normal"
    )
    blocks = Blocks(activation=activation, initializer=kaiming, **options)
    widths = _widths(width)
    return _assemble(
        depth, widths, blocks, option_a, num_classes, input_shape, name
    )


@register(
    rf"resnet({_DEPTH})_b", [f"resnet{depth}_b" for depth in _DEPTHS], ["width"]
)
def cifar_resnet_b(
    depth,
    *,
    num_classes,
    input_shape,
    activation,
    name,
    width=1.0,
    **options,
):
    """ResNet of `depth` = 6n + 2 layers whose shortcuts are convs.

    Arguments and result are those of `cifar_resnet`. `resnet56_b` is the
    OrthoReg authors' ResNet-56, for any number of classes; weights begin as
    theirs, which is PyTorch's default.
    """
    blocks = Blocks(
        activation=activation, initializer=torch_kernels(), **options
    )
    shortcut = functools.partial(_option_b, blocks)
    widths = _widths(width)
    return _assemble(
        depth, widths, blocks, shortcut, num_classes, input_shape, name
    )


def _widths(factor):
    """The stages' channels, of a factor on the paper's."""
    number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
    if not (number and 1 / _WIDTHS[0] <= factor < math.inf):
        raise UserError(
            f"width must be a factor that leaves the {_WIDTHS[0]} channels of "
            f"the first stage at least one. Received: width={factor}"
        )
    return [int(factor * channels) for channels in _WIDTHS]


def _assemble(depth, widths, blocks, shortcut, num_classes, input_shape, name):
    """The model; `shortcut` makes the skip where the shape changes."""
    if min(input_shape[:2]) < 4:
        raise UserError(
            "The two strides of 2 need images of at least 4 x 4 pixels. "
            f"Received: input_shape={input_shape}"
        )
    images = blocks.images(input_shape)
    x = blocks.convolve(images, widths[0], 3, 1, "conv1")
    x = blocks.plain(blocks.normalize(x, "bn1"), "relu1")
    for stage, width in enumerate(widths, 1):
        for block in range((depth - 2) // 6):
            strides = 2 if stage > 1 and block == 0 else 1
            part = f"layer{stage}_{block}"
            x = _block(blocks, x, width, strides, shortcut, part)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=blocks.initializer.clone(),
        bias_initializer=torch_uniform(widths[-1]),
        name="linear",
    )(x)
    return keras.Model(images, logits, name=name)


def _block(blocks, x, width, strides, shortcut, name):
    branch = blocks.convolve(x, width, 3, strides, f"{name}_conv1")
    branch = blocks.normalize(branch, f"{name}_bn1")
    branch = blocks.activate(branch, f"{name}_rrelu1")
    branch = blocks.convolve(branch, width, 3, 1, f"{name}_conv2")
    branch = blocks.normalize(branch, f"{name}_bn2")
    skip = x
    if strides > 1 or x.shape[-1] != width:
        skip = shortcut(x, width, strides, name)
    x = keras.layers.Add(name=f"{name}_add")([branch, skip])
    return blocks.activate(x, f"{name}_rrelu2")


def option_a(x, width, strides, name):
    """Every second pixel, between zero channels: a shortcut without weights."""
    x = keras.layers.AveragePooling2D(1, strides, name=f"{name}_pixels")(x)
    channels = x.shape[-1]
    before = (width - channels) // 2
    after = width - channels - before
    return ChannelGather(
        [-1] * before + list(range(channels)) + [-1] * after,
        name=f"{name}_shortcut",
    )(x)


def _option_b(blocks, x, width, strides, name):
    """A 1x1 conv and a norm, in PyTorch a Sequential: hence their names."""
    x = blocks.convolve(x, width, 1, strides, f"{name}_shortcut_0")
    return blocks.normalize(x, f"{name}_shortcut_1")
