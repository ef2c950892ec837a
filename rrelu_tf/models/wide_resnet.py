"""Wide residual networks (Zagoruyko & Komodakis, 2016), pre-activation.

As in the RReLU authors' code: both activations of a block are rotated, the
final one is plain, and where the width changes the conv shortcut reads the
activated input.
"""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.models import torch_layout
from rrelu_tf.models.blocks import Blocks, torch_uniform
from rrelu_tf.models.registry import register

# In the authors' code every stage is a module with one Sequential, `layer`, and
# a block's two slope vectors lie on the block itself, after bn1 and after bn2.
_BLOCK = r"(block\d+)\.layer\.(\d+)\."
torch_layout.rename(
    (_BLOCK + r"a", r"\1.\2.rrelu1.a"),
    (_BLOCK + r"c", r"\1.\2.rrelu2.a"),
    (_BLOCK + r"convShortcut\.(.+)", r"\1.\2.shortcut.\3"),
    (_BLOCK + r"(.+)", r"\1.\2.\3"),
)


@register(r"wrn_(\d+)_(\d+)", ["wrn_16_4", "wrn_28_10", "wrn_40_2", "wrn_40_4"])
def wide_resnet(
    depth, width, *, num_classes, input_shape, activation, name, **options
):
    """WRN-`depth`-`width`: n = (depth - 4) / 6 blocks per stage.

    Args:
        depth: 10, 16, 22, ...: 6n + 4.
        width: factor on the 16, 32, 64 channels of the stages, at least 1.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, sides of at least 4.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    if depth < 10 or (depth - 4) % 6 or width < 1:
        raise UserError(
            "wrn_<depth>_<width> needs a depth of 6n + 4 (10, 16, 22, ...) and "
            f"a width of at least 1. Received: name={name}"
        )
    if min(input_shape[:2]) < 4:
        raise UserError(
            "The two strides of 2 need images of at least 4 x 4 pixels. "
            f"Received: input_shape={input_shape}"
        )
    # kaiming_normal_ with fan-out, as the authors' WRN code has it.
    kaiming = keras.initializers.VarianceScaling(
        2.0, "fan_out", "untruncated_normal"
    )
    blocks = Blocks(activation=activation, initializer=kaiming, **options)
    images = blocks.images(input_shape)
    x = blocks.convolve(images, 16, 3, 1, "conv1")
    for stage, channels in enumerate((16, 32, 64), 1):
        for block in range((depth - 4) // 6):
            strides = 2 if stage > 1 and block == 0 else 1
            x = _block(
                blocks, x, channels * width, strides, f"block{stage}_{block}"
            )
    x = blocks.plain(blocks.normalize(x, "bn1"), "relu")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes, kernel_initializer=torch_uniform(x.shape[-1]), name="fc"
    )(x)
    return keras.Model(images, logits, name=name)


def _block(blocks, x, filters, strides, name):
    active = blocks.normalize(x, f"{name}_bn1")
    active = blocks.activate(active, f"{name}_rrelu1")
    branch = blocks.convolve(active, filters, 3, strides, f"{name}_conv1")
    branch = blocks.normalize(branch, f"{name}_bn2")
    branch = blocks.activate(branch, f"{name}_rrelu2")
    branch = blocks.convolve(branch, filters, 3, 1, f"{name}_conv2")
    shortcut = x
    if x.shape[-1] != filters or strides > 1:
        shortcut = blocks.convolve(
            active, filters, 1, strides, f"{name}_shortcut"
        )
    return keras.layers.Add(name=f"{name}_add")([branch, shortcut])
