"""MLP-Mixer (Tolstikhin et al., 2021), sizes S and B.

The activation of both MLPs is the one that is rotated: that over a channel's
tokens and that over a token's channels. Whether the RReLU paper has a Mixer is
not stated by the authors.
"""

import keras

from rrelu_tf.models.blocks import Blocks
from rrelu_tf.models.registry import register
from rrelu_tf.models.tokens import mlp, normalize, patches

# name -> blocks, width, hidden units of the token and of the channel MLPs
_SIZES = {
    "mixer_s": (8, 512, 256, 2048),
    "mixer_b": (12, 768, 384, 3072),
}
# The default of Flax's layers, which the Mixer's authors use. Their head
# begins at zero; a net like that is all dead code, so that here it does not.
_INITIALIZER = "lecun_normal"


@register(r"mixer_(?:s|b)", list(_SIZES), options=["patch_size"])
def mlp_mixer(
    *, num_classes, input_shape, activation, name, patch_size=None, **options
):
    """Blocks of MLPs over tokens and over channels; logits of their mean.

    Args:
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, multiples of `patch_size`.
        activation: of the MLPs, plain or rotated, see `models.create`.
        name: `mixer_s` or `mixer_b`; the model's name.
        patch_size: side of a patch in pixels; None for 16 (the paper's S/16
            and B/16), or 4 if a side of the images is below 128 pixels.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    depth, width, token_units, channel_units = _SIZES[name]
    blocks = Blocks(activation=activation, initializer=_INITIALIZER, **options)
    images = blocks.images(input_shape)
    x = patches(blocks, images, patch_size, width)
    for block in range(depth):
        x = _mix_tokens(blocks, x, token_units, f"block{block}_tokens")
        x = _mix_channels(blocks, x, channel_units, f"block{block}_channels")
    x = normalize(x, "norm")
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes, kernel_initializer=blocks.initializer, name="head"
    )(x)
    return keras.Model(images, logits, name=name)


def _mix_tokens(blocks, x, hidden, name):
    branch = normalize(x, f"{name}_norm")
    branch = keras.layers.Permute((2, 1), name=f"{name}_last")(branch)
    branch = mlp(blocks, branch, hidden, name)
    branch = keras.layers.Permute((2, 1), name=f"{name}_back")(branch)
    return keras.layers.Add(name=f"{name}_add")([branch, x])


def _mix_channels(blocks, x, hidden, name):
    branch = normalize(x, f"{name}_norm")
    branch = mlp(blocks, branch, hidden, name)
    return keras.layers.Add(name=f"{name}_add")([branch, x])
