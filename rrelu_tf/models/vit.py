"""Vision transformers (Dosovitskiy et al., 2021), in DeiT's three sizes.

DeiT is Touvron et al. (2021). The MLPs' activation is the one that is rotated:
a dead slope frees a column of its block's first linear layer and a row of the
second. The RReLU paper names the GELU of a transformer's MLPs; which
transformer, patches, data and initial weights is not stated by the authors.
"""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import ClassToken, PositionEmbedding
from rrelu_tf.models.blocks import Blocks
from rrelu_tf.models.registry import register
from rrelu_tf.models.tokens import mlp, normalize, patches

_DEPTH = 12
_MLP_RATIO = 4
# name -> width and heads
_SIZES = {
    "vit_tiny": (192, 3),
    "vit_small": (384, 6),
    "vit_base": (768, 12),
}
# Not stated by the authors: DeiT's, for kernels, class token and positions.
_INITIALIZER = {"class_name": "TruncatedNormal", "config": {"stddev": 0.02}}


@register(
    r"vit_(?:tiny|small|base)",
    list(_SIZES),
    options=["patch_size", "depth"],
)
def vit(
    *,
    num_classes,
    input_shape,
    activation,
    name,
    patch_size=None,
    depth=_DEPTH,
    **options,
):
    """Pre-norm blocks of attention and MLP; logits of the class token.

    Args:
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, multiples of `patch_size`.
        activation: of the MLPs, plain or rotated, see `models.create`.
        name: `vit_tiny`, `vit_small` or `vit_base`; the model's name.
        patch_size: side of a patch in pixels; None for 16, or 4 if a side of
            the images is below 128 pixels.
        depth: number of blocks.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    if type(depth) is not int or depth < 1:
        raise UserError(
            "depth must be a whole number of at least 1. "
            f"Received: depth={depth}"
        )
    width, heads = _SIZES[name]
    blocks = Blocks(activation=activation, initializer=_INITIALIZER, **options)
    images = blocks.images(input_shape)
    x = patches(blocks, images, patch_size, width)
    x = ClassToken(blocks.initializer, name="class_token")(x)
    x = PositionEmbedding(blocks.initializer, name="positions")(x)
    for block in range(depth):
        x = _block(blocks, x, heads, f"block{block}")
    x = normalize(x, "norm")
    x = keras.layers.Cropping1D((0, x.shape[1] - 1), name="first_token")(x)
    x = keras.layers.Flatten(name="features")(x)
    logits = keras.layers.Dense(
        num_classes, kernel_initializer=blocks.initializer, name="head"
    )(x)
    return keras.Model(images, logits, name=name)


def _block(blocks, x, heads, name):
    width = x.shape[-1]
    branch = normalize(x, f"{name}_norm1")
    branch = keras.layers.MultiHeadAttention(
        heads,
        width // heads,
        kernel_initializer=blocks.initializer,
        name=f"{name}_attention",
    )(branch, branch)
    x = keras.layers.Add(name=f"{name}_add1")([branch, x])
    branch = normalize(x, f"{name}_norm2")
    branch = mlp(blocks, branch, _MLP_RATIO * width, name)
    return keras.layers.Add(name=f"{name}_add2")([branch, x])
