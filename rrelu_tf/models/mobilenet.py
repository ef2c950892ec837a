"""MobileNet-V1 (Howard et al., 2017) in the CIFAR form of the OrthoReg authors.

The first conv has no stride, there is no width multiplier. Every activation is
rotated: a dead slope behind a pointwise conv frees its filter and leaves the
next depthwise conv a channel of zeros, one behind a depthwise conv frees that
conv's channel and the filter before it.
"""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.models.blocks import Blocks, torch_kernels, torch_uniform
from rrelu_tf.models.registry import register

_STEM = 32
# Filters and stride of each block.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


@register(r"mobilenet_v1", ["mobilenet_v1"])
def mobilenet_v1(*, num_classes, input_shape, activation, name, **options):
    """A conv, 13 pairs of a depthwise and a pointwise conv, one linear layer.

    Weights begin as PyTorch's default, as the authors' do.

    Args:
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, sides of at least 9.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    # Each stride must have two pixels or more to choose from.
    if min(input_shape[:2]) < 9:
        raise UserError(
            "The four strides of 2 need images of at least 9 x 9 pixels. "
            f"Received: input_shape={input_shape}"
        )
    blocks = Blocks(
        activation=activation, initializer=torch_kernels(), **options
    )
    images = blocks.images(input_shape)
    x = blocks.convolve(images, _STEM, 3, 1, "conv1")
    x = blocks.activate(blocks.normalize(x, "bn1"), "rrelu1")
    for place, (filters, strides) in enumerate(_BLOCKS):
        x = _block(blocks, x, filters, strides, f"layers_{place}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=torch_kernels(),
        bias_initializer=torch_uniform(x.shape[-1]),
        name="linear",
    )(x)
    return keras.Model(images, logits, name=name)


def _block(blocks, x, filters, strides, name):
    x = blocks.filter_channels(x, 3, strides, f"{name}_conv1")
    x = blocks.activate(blocks.normalize(x, f"{name}_bn1"), f"{name}_rrelu1")
    x = blocks.convolve(x, filters, 1, 1, f"{name}_conv2")
    return blocks.activate(blocks.normalize(x, f"{name}_bn2"), f"{name}_rrelu2")
