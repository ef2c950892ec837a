"""EfficientNet B0 to B3 (Tan & Le, 2019), as in `keras.applications`.

Rotated are the activations behind a block's expansion and behind its depthwise
conv; stem, head and squeeze-and-excite keep the plain one. Only the second
one's dead slopes free a channel all the way: behind a dead first one the
depthwise conv's norm makes a constant of zeros, and the excitation scales it by
the image.
The RReLU paper's abstract names EfficientNet; variant, data and recipe are not
stated by the authors.
"""

import math

import keras

from rrelu_tf import layers
from rrelu_tf.errors import UserError
from rrelu_tf.models.blocks import Blocks
from rrelu_tf.models.registry import register

# variant -> factors of width and depth
_SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4)}
# kernel size, repeats, filters, expansion, strides
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
_SQUEEZE = 0.25
_CONV = {
    "class_name": "VarianceScaling",
    "config": {
        "scale": 2.0,
        "mode": "fan_out",
        "distribution": "truncated_normal",
    },
}
_LINEAR = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"},
}


class _Blocks(Blocks):
    """`Blocks` with TensorFlow's padding and the original's statistics."""

    def convolve(self, x, filters, kernel_size, strides, name):
        """A conv without bias, of padding "same"."""
        return layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            fused=self.fused,
            kernel_initializer=self.initializer,
            name=name,
        )(x)

    def normalize(self, x, name):
        """Batch normalisation with Keras's momentum and epsilon."""
        return layers.BatchNormalization(
            momentum=0.99,
            epsilon=1e-3,
            synchronized=self.sync_batch_norm,
            fused=self.fused,
            name=name,
        )(x)


@register(
    r"efficientnet_b([0-3])",
    [f"efficientnet_b{variant}" for variant in _SCALES],
    options=["dropout", "stochastic_depth"],
)
def efficientnet(
    variant,
    *,
    num_classes,
    input_shape,
    activation,
    name,
    dropout=0.0,
    stochastic_depth=0.0,
    **options,
):
    """EfficientNet-B`variant`, for normalised images of any size.

    Args:
        variant: 0 to 3.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`; the original's sides are
            224, 240, 260 and 300 pixels.
        activation: plain or rotated, see `models.create`; theirs is "silu".
        name: the model's name.
        dropout: rate before the logits; the original's are 0.2 for B0 and
            B1, 0.3 for B2 and B3.
        stochastic_depth: rate at which the last block's branch is dropped for
            an example, earlier ones' rising linearly from 0; theirs is 0.2.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    _check_rate("dropout", dropout)
    _check_rate("stochastic_depth", stochastic_depth)
    widen, deepen = _SCALES[variant]
    blocks = _Blocks(activation=activation, initializer=_CONV, **options)
    images = blocks.images(input_shape)
    x = blocks.convolve(images, _rounded(32 * widen), 3, 2, "stem_conv")
    x = blocks.plain(blocks.normalize(x, "stem_bn"), "stem_activation")
    plan = _plan(widen, deepen)
    for index, (block_name, *block) in enumerate(plan):
        drop = stochastic_depth * index / len(plan)
        x = _block(blocks, x, *block, drop, block_name)
    x = blocks.convolve(x, _rounded(1280 * widen), 1, 1, "top_conv")
    x = blocks.plain(blocks.normalize(x, "top_bn"), "top_activation")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(
        num_classes, kernel_initializer=_LINEAR, name="head"
    )(x)
    return keras.Model(images, logits, name=name)


def _check_rate(option, rate):
    if not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise UserError(
            f"{option} must be a number from 0 to below 1. "
            f"Received: {option}={rate}"
        )


def _plan(widen, deepen):
    """(name, kernel size, filters, expansion, strides) of each block."""
    return [
        (
            f"block{stage}_{index}",
            kernel_size,
            _rounded(filters * widen),
            expansion,
            1 if index else strides,
        )
        for stage, (kernel_size, repeats, filters, expansion, strides) in (
            enumerate(_STAGES, 1)
        )
        for index in range(math.ceil(deepen * repeats))
    ]


def _rounded(filters):
    """The nearest multiple of 8 that is not more than 10 % below."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters else nearest


def _block(blocks, x, kernel_size, filters, expansion, strides, drop, name):
    """Expand, filter each channel, excite, project; with a skip if it fits."""
    skip, narrow = x, x.shape[-1]
    if expansion > 1:
        x = blocks.convolve(x, expansion * narrow, 1, 1, f"{name}_expand_conv")
        x = blocks.normalize(x, f"{name}_expand_bn")
        x = blocks.activate(x, f"{name}_expand_activation")
    x = layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        fused=blocks.fused,
        depthwise_initializer=blocks.initializer,
        name=f"{name}_depthwise",
    )(x)
    x = blocks.normalize(x, f"{name}_depthwise_bn")
    x = blocks.activate(x, f"{name}_activation")
    x = _excite(blocks, x, max(1, int(_SQUEEZE * narrow)), f"{name}_se")
    x = blocks.convolve(x, filters, 1, 1, f"{name}_project_conv")
    x = blocks.normalize(x, f"{name}_project_bn")
    if strides > 1 or filters != narrow:
        return x
    if drop:
        x = keras.layers.Dropout(
            drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop"
        )(x)
    return keras.layers.Add(name=f"{name}_add")([x, skip])


def _excite(blocks, x, units, name):
    """Squeeze-and-excite: each channel times a gate from all channels."""

    def linear(gate, filters, part):
        return keras.layers.Conv2D(
            filters,
            1,
            kernel_initializer=blocks.initializer,
            name=f"{name}_{part}",
        )(gate)

    gate = keras.layers.GlobalAveragePooling2D(
        keepdims=True, name=f"{name}_squeeze"
    )(x)
    gate = linear(gate, units, "reduce")
    gate = blocks.plain(gate, f"{name}_activation")
    gate = linear(gate, x.shape[-1], "expand")
    gate = keras.layers.Activation("sigmoid", name=f"{name}_gate")(gate)
    return keras.layers.Multiply(name=f"{name}_excite")([x, gate])
