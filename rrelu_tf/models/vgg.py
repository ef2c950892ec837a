"""VGG-13, 16 and 19 with norms, in the CIFAR form of the OrthoReg authors.

Convs of 3x3 (Simonyan & Zisserman, 2015), five poolings, one linear layer. The
authors put a conv's norm behind its activation; `bn_first` puts it before.
Every activation is rotated. A dead slope frees the filter before it; the input
of the layer behind it only if the norm comes first, since behind the slope the
norm makes a constant of it.
"""

import math

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.models.blocks import Blocks, torch_kernels, torch_uniform
from rrelu_tf.models.registry import register

# depth -> convs of each stage; a pooling ends it.
_STAGES = {
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)
_LEAST = 2 ** len(_WIDTHS)


@register(
    r"vgg(13|16|19)", [f"vgg{depth}" for depth in _STAGES], options=["bn_first"]
)
def vgg(
    depth,
    *,
    num_classes,
    input_shape,
    activation,
    name,
    bn_first=False,
    **options,
):
    """VGG of `depth` layers with weights, one of them linear.

    Weights begin as PyTorch's default, as the authors' do.

    Args:
        depth: 13, 16 or 19.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, sides of at least 32; of
            larger images every pixel of the last map has weights of its own.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        bn_first: whether norms lie before the activations.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    _check(input_shape, bn_first)
    blocks = Blocks(
        activation=activation, initializer=torch_kernels(), **options
    )
    images = x = blocks.images(input_shape)
    # The authors' names: places in one Sequential.
    place = 0
    for width, convs in zip(_WIDTHS, _STAGES[depth], strict=True):
        for _ in range(convs):
            x = blocks.convolve(
                x, width, 3, 1, f"features_{place}", use_bias=True
            )
            pair = [blocks.activate, blocks.normalize]
            for offset, layer in enumerate(pair[:: -1 if bn_first else 1], 1):
                x = layer(x, f"features_{place + offset}")
            place += 3
        x = keras.layers.MaxPooling2D(2, name=f"features_{place}")(x)
        place += 1
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=torch_kernels(),
        bias_initializer=torch_uniform(math.prod(x.shape[1:])),
        name="classifier",
    )(_flat(x))
    return keras.Model(images, logits, name=name)


def _check(input_shape, bn_first):
    if bn_first not in (False, True):
        raise UserError(
            f"bn_first must be True or False. Received: bn_first={bn_first}"
        )
    if min(input_shape[:2]) < _LEAST:
        raise UserError(
            f"The five poolings need images of at least {_LEAST} x {_LEAST} "
            f"pixels. Received: input_shape={input_shape}"
        )


def _flat(x):
    """The last map as a vector in PyTorch's order, channel by channel."""
    if x.shape[1:3] != (1, 1):
        x = keras.layers.Permute((3, 1, 2), name="channels_first")(x)
    return keras.layers.Flatten(name="flatten")(x)
