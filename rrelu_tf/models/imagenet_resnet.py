"""The ImageNet ResNets (He et al., 2016), post-activation, conv shortcuts.

Layout and widths are torchvision's: stride in the 3x3 conv of a bottleneck
("v1.5"). As in the RReLU authors' lists, the stem's activation stays plain;
inside a block every one is rotated, the one behind the Add too, so that a
dead slope there cuts the residual stream itself.
"""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.models import torch_layout
from rrelu_tf.models.blocks import Blocks, torch_kernels, torch_uniform
from rrelu_tf.models.registry import register

_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_WIDTHS = (64, 128, 256, 512)
_EXPANSION = 4
# Images up to this side are CIFAR's (32) or Tiny-ImageNet's (64).
_SMALL = 64
_KAIMING = {
    "class_name": "VarianceScaling",
    "config": {
        "scale": 2.0,
        "mode": "fan_out",
        "distribution": "untruncated_normal",
    },
}
# The OrthoReg authors' names for torchvision's.
torch_layout.rename(
    (r"(.+)\.shortcut\.([01]\..+)", r"\1.downsample.\2"),
    (r"linear\.(.+)", r"fc.\1"),
)


@register(r"wide_resnet(50)_(2)", ["wide_resnet50_2"])
@register(r"resnet(18|34|50|101|152)", [f"resnet{depth}" for depth in _BLOCKS])
def imagenet_resnet(
    depth, width=1, *, num_classes, input_shape, activation, name, **options
):
    """ResNet-`depth`: basic blocks up to 34, bottlenecks from 50 on.

    The stem is chosen by the images. Where a side is longer than 64 pixels it
    is ImageNet's: a 7x7 conv of stride 2 and a 3x3 pool of stride 2, whose
    border is padded with zeros (the same as no border behind a ReLU). Up to
    64 pixels it is that of the OrthoReg authors' CIFAR ResNet-34: a 3x3 conv
    of stride 1 and no pool.

    So are the initial kernels: torchvision's, Kaiming normals of the fan-out,
    with ImageNet's stem (the RReLU authors' recipe is not published), and
    PyTorch's default, as OrthoReg's, with CIFAR's.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: factor on the inner channels of bottlenecks.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, usually `(224, 224, 3)`;
            sides of at least 5, or 17 if one is longer than 64.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    small = max(input_shape[:2]) <= _SMALL
    _check_sides(input_shape, small)
    initializer = torch_kernels() if small else _KAIMING
    blocks = Blocks(activation=activation, initializer=initializer, **options)
    images = blocks.images(input_shape)
    x = _stem(blocks, images, small)
    for convs, strides, block in _plan(depth, width):
        x = _block(blocks, x, convs, strides, block)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=torch_uniform(x.shape[-1]),
        bias_initializer=torch_uniform(x.shape[-1]),
        name="fc",
    )(x)
    return keras.Model(images, logits, name=name)


def _plan(depth, width):
    """(convs, strides, name) of each block."""
    for stage, filters in enumerate(_WIDTHS, 1):
        for block in range(_BLOCKS[depth][stage - 1]):
            strides = 2 if stage > 1 and block == 0 else 1
            inner = filters * width
            if depth < 50:
                convs = ((filters, 3, strides), (filters, 3, 1))
            else:
                last = (filters * _EXPANSION, 1, 1)
                convs = ((inner, 1, 1), (inner, 3, strides), last)
            yield convs, strides, f"layer{stage}_{block}"


def _check_sides(input_shape, small):
    """Each stride must have two pixels or more to choose from."""
    count, least = ("three", 5) if small else ("five", 17)
    if min(input_shape[:2]) < least:
        where = "" if small else f" of an image longer than {_SMALL} pixels"
        raise UserError(
            f"The {count} strides of 2{where} need sides of at least {least} "
            f"pixels. Received: input_shape={input_shape}"
        )


def _stem(blocks, images, small):
    size, strides = (3, 1) if small else (7, 2)
    x = blocks.convolve(images, _WIDTHS[0], size, strides, "conv1")
    x = blocks.plain(blocks.normalize(x, "bn1"), "relu")
    if small:
        return x
    x = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, name="maxpool")(x)


def _block(blocks, x, convs, strides, name):
    """A residual block of convs (filters, size, strides), rotated behind."""
    branch = x
    for part, (filters, kernel_size, step) in enumerate(convs, 1):
        if part > 1:
            branch = blocks.activate(branch, f"{name}_rrelu{part - 1}")
        branch = blocks.convolve(
            branch, filters, kernel_size, step, f"{name}_conv{part}"
        )
        branch = blocks.normalize(branch, f"{name}_bn{part}")
    shortcut = x
    if strides > 1 or x.shape[-1] != branch.shape[-1]:
        # torchvision's names: conv and norm are a Sequential there.
        shortcut = blocks.convolve(
            x, branch.shape[-1], 1, strides, f"{name}_downsample_0"
        )
        shortcut = blocks.normalize(shortcut, f"{name}_downsample_1")
    x = keras.layers.Add(name=f"{name}_add")([branch, shortcut])
    return blocks.activate(x, f"{name}_rrelu{len(convs)}")
