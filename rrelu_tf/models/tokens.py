"""What networks over image patches share: tokens, and MLPs over them."""

import keras

from rrelu_tf.errors import UserError

# Sides from here on take the papers' 16 x 16 patches, smaller ones 4 x 4.
_LARGE = 128


def patches(blocks, images, patch_size, width):
    """Images as sequences: one token for each patch, row by row.

    Args:
        blocks: `Blocks`, whose initializer its kernel has.
        images: a tensor `(batch, height, width, channels)`.
        patch_size: side of a patch in pixels, a divisor of both sides; None
            for 16, or 4 if a side is below 128 pixels.
        width: the tokens'.

    Returns:
        A tensor `(batch, tokens, width)`.

    Raises:
        UserError: if the patches do not tile the images.
    """
    sides = tuple(images.shape[1:3])
    if patch_size is None:
        patch_size = 16 if min(sides) >= _LARGE else 4
    if (
        type(patch_size) is not int
        or patch_size < 1
        or any(side % patch_size for side in sides)
    ):
        raise UserError(
            "patch_size must be a whole number that divides both sides of the "
            f"images, {sides[0]} x {sides[1]}. "
            f"Received: patch_size={patch_size}"
        )
    x = keras.layers.Conv2D(
        width,
        patch_size,
        strides=patch_size,
        kernel_initializer=blocks.initializer,
        name="patches",
    )(images)
    return keras.layers.Reshape((-1, width), name="tokens")(x)


def normalize(x, name):
    """Layer normalisation with the papers' epsilon."""
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def mlp(blocks, x, hidden, name):
    """Linear, the studied activation, linear: as wide as it came.

    The activation is a layer of its own, so that a rotated one has a slope
    for each hidden unit.

    Args:
        blocks: `Blocks`, whose activation and initializer it has; biases
            begin at 0.
        x: a tensor `(batch, tokens, width)`.
        hidden: number of hidden units.
        name: of the layers, before `_fc1`, `_activation` and `_fc2`.

    Returns:
        A tensor of the shape of `x`.
    """
    width = x.shape[-1]
    x = keras.layers.Dense(
        hidden, kernel_initializer=blocks.initializer, name=f"{name}_fc1"
    )(x)
    x = blocks.activate(x, f"{name}_activation")
    return keras.layers.Dense(
        width, kernel_initializer=blocks.initializer, name=f"{name}_fc2"
    )(x)
