"""The CIFAR ResNets of He et al. (2016), post-activation, option A shortcut.

As in the RReLU authors' code: the stem keeps its plain activation, each basic
block has a rotated one inside and one behind the Add, so that a dead slope
there cuts the residual stream itself.
"""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather
from rrelu_tf.models.blocks import Blocks, torch_uniform
from rrelu_tf.models.registry import register

_WIDTHS = (16, 32, 64)


@register(
    r"resnet(8|14|20|32|44|56|110)",
    [f"resnet{d}" for d in (8, 14, 20, 32, 44, 56, 110)],
)
def cifar_resnet(
    depth, *, num_classes, input_shape, activation, name, **options
):
    """ResNet of `depth` = 6n + 2 layers: n basic blocks per stage.

    Args:
        depth: 8, 14, 20, 32, 44, 56 or 110; the first two are not He et al.'s.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, sides of at least 4.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    if min(input_shape[:2]) < 4:
        raise UserError(
            "The two strides of 2 need images of at least 4 x 4 pixels. "
            f"Received: input_shape={input_shape}"
        )
    # kaiming_normal_ of the authors' code: fan-in, gain sqrt 2, not truncated.
    kaiming = keras.initializers.VarianceScaling(
        2.0, "fan_in", "untruncated_normal"
    )
    blocks = Blocks(activation=activation, initializer=kaiming, **options)
    images = blocks.images(input_shape)
    x = blocks.convolve(images, _WIDTHS[0], 3, 1, "conv1")
    x = blocks.plain(blocks.normalize(x, "bn1"), "relu1")
    for stage, width in enumerate(_WIDTHS, 1):
        for block in range((depth - 2) // 6):
            strides = 2 if stage > 1 and block == 0 else 1
            x = _block(blocks, x, width, strides, f"layer{stage}_{block}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=kaiming.clone(),
        bias_initializer=torch_uniform(_WIDTHS[-1]),
        name="linear",
    )(x)
    return keras.Model(images, logits, name=name)


def _block(blocks, x, width, strides, name):
    branch = blocks.convolve(x, width, 3, strides, f"{name}_conv1")
    branch = blocks.normalize(branch, f"{name}_bn1")
    branch = blocks.activate(branch, f"{name}_rrelu1")
    branch = blocks.convolve(branch, width, 3, 1, f"{name}_conv2")
    branch = blocks.normalize(branch, f"{name}_bn2")
    shortcut = x
    if strides > 1 or x.shape[-1] != width:
        shortcut = option_a(x, width, strides, name)
    x = keras.layers.Add(name=f"{name}_add")([branch, shortcut])
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
