"""Pre-activation ResNets for CIFAR (He et al., 2016, "Identity mappings").

As in the RReLU authors' code, which has two kinds. Of basic blocks, as
`resnet110_preact`: a stem with a norm and a plain activation, the option A
shortcut on the raw stream, and a last norm with no activation before the
pool. Of bottlenecks, as `resnet164_preact` (from Network Slimming's code): a
stem of a conv alone, a conv where the shape changes that reads the raw
stream, and a last norm with a plain activation. Every activation inside a
block is rotated. Both read the raw stream to the end, so that none of its
channels can go: a dead first slope frees the input of the conv behind it, a
dead inner slope the filter before it as well.
"""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.layers import BatchNormalization
from rrelu_tf.models.blocks import Blocks, torch_uniform
from rrelu_tf.models.cifar_resnet import option_a
from rrelu_tf.models.registry import register

_WIDTHS = (16, 32, 64)
_EXPANSION = 4
# The depth of the papers from which both kinds fit and bottlenecks are meant.
_DEEP = 164


class _HalfScaled(Blocks):
    """Norms that begin with a scale of a half, as Network Slimming's do."""

    def normalize(self, x, name):
        return BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            gamma_initializer=keras.initializers.Constant(0.5),
            synchronized=self.sync_batch_norm,
            fused=self.fused,
            name=name,
        )(x)


@register(r"preact_resnet(\d+)", [])
@register(r"resnet(110|164)_preact", ["resnet110_preact", "resnet164_preact"])
def preact_resnet(
    depth, *, num_classes, input_shape, activation, name, **options
):
    """Pre-activation ResNet of `depth` layers, n blocks in each of 3 stages.

    A depth of 6n + 2 means basic blocks, one of 9n + 2 bottlenecks. Where both
    fit (20, 38, ..., 110, ..., 164, ...) it is basic blocks below 164 and
    bottlenecks from there on, as in He et al.: 110 basic, 164 and 1001
    bottlenecks.

    Args:
        depth: 6n + 2 or 9n + 2, n at least 1.
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`, sides of at least 4.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    basic = depth >= 8 and (depth - 2) % 6 == 0
    bottleneck = depth >= 11 and (depth - 2) % 9 == 0
    if not basic and not bottleneck:
        raise UserError(
            "preact_resnet<depth> needs a depth of 6n + 2 (8, 14, ...: basic "
            f"blocks) or 9n + 2 (11, 20, ...: bottlenecks). Received: "
            f"name={name}"
        )
    if min(input_shape[:2]) < 4:
        raise UserError(
            "The two strides of 2 need images of at least 4 x 4 pixels. "
            f"Received: input_shape={input_shape}"
        )
    deep = bottleneck and (not basic or depth >= _DEEP)
    build = _of_bottlenecks if deep else _of_basic_blocks
    images, logits = build(
        depth, num_classes, input_shape, activation=activation, **options
    )
    return keras.Model(images, logits, name=name)


def _of_basic_blocks(depth, num_classes, input_shape, **options):
    # kaiming_normal_ of the authors' code: fan-in, gain sqrt 2, not truncated.
    kaiming = keras.initializers.VarianceScaling(
        2.0, "fan_in", "untruncated_normal"
    )
    blocks = Blocks(initializer=kaiming, **options)
    images = blocks.images(input_shape)
    x = blocks.convolve(images, _WIDTHS[0], 3, 1, "conv1")
    x = blocks.plain(blocks.normalize(x, "bn1"), "relu1")
    for width, strides, name in _plan((depth - 2) // 6):
        shortcut = x
        if strides > 1:
            shortcut = option_a(x, width, strides, name)
        convs = ((width, 3, strides), (width, 3, 1))
        x = _residual(blocks, x, convs, shortcut, name)
    x = blocks.normalize(x, "bn")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=kaiming.clone(),
        bias_initializer=torch_uniform(_WIDTHS[-1]),
        name="linear",
    )(x)
    return images, logits


def _of_bottlenecks(depth, num_classes, input_shape, **options):
    # N(0, sqrt(2 / (k k out))) of Network Slimming's code: fan-out.
    kaiming = keras.initializers.VarianceScaling(
        2.0, "fan_out", "untruncated_normal"
    )
    blocks = _HalfScaled(initializer=kaiming, **options)
    images = blocks.images(input_shape)
    x = blocks.convolve(images, _WIDTHS[0], 3, 1, "conv1")
    for width, strides, name in _plan((depth - 2) // 9):
        out = width * _EXPANSION
        shortcut = x
        if x.shape[-1] != out:
            shortcut = blocks.convolve(
                x, out, 1, strides, f"{name}_downsample_0"
            )
        convs = ((width, 1, 1), (width, 3, strides), (out, 1, 1))
        x = _residual(blocks, x, convs, shortcut, name)
    x = blocks.plain(blocks.normalize(x, "bn"), "relu")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    fan_in = x.shape[-1]
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=torch_uniform(fan_in),
        bias_initializer=torch_uniform(fan_in),
        name="fc",
    )(x)
    return images, logits


def _plan(count):
    """(width, strides, name) of each block, `count` blocks a stage."""
    for stage, width in enumerate(_WIDTHS, 1):
        for block in range(count):
            strides = 2 if stage > 1 and block == 0 else 1
            yield width, strides, f"layer{stage}_{block}"


def _residual(blocks, x, convs, shortcut, name):
    """Norm, activation and conv for each of (filters, size, strides)."""
    for part, (filters, kernel_size, strides) in enumerate(convs, 1):
        x = blocks.normalize(x, f"{name}_bn{part}")
        x = blocks.activate(x, f"{name}_rrelu{part}")
        x = blocks.convolve(
            x, filters, kernel_size, strides, f"{name}_conv{part}"
        )
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])
