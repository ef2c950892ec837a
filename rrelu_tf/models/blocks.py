"""What the architectures are made of."""

import dataclasses
from typing import Any

import keras

from rrelu_tf import layers
from rrelu_tf.errors import UserError

_PLAIN = ("relu", "gelu", "silu")
_ROTATED = {
    "rrelu": layers.RReLU,
    "rgelu": layers.RGELU,
    "rsilu": layers.RSiLU,
}


@dataclasses.dataclass(frozen=True)
class Blocks:
    """Makes a network's layers, as its options say.

    Attributes:
        activation: name of the activation that the network is studied with.
        initializer: of conv and linear kernels.
        slope_initializer: of the rotated activations' slopes.
        slope_regularizer: of the rotated activations' slopes.
        sync_batch_norm: whether statistics are those of all replicas.
        fused: whether norms, slopes and convolutions may run fused.
    """

    activation: str = "relu"
    initializer: Any = "he_normal"
    slope_initializer: Any = "rotation"
    slope_regularizer: Any = None
    sync_batch_norm: bool = False
    fused: bool = True

    def __post_init__(self):
        if self.activation not in (*_PLAIN, *_ROTATED):
            raise UserError(
                f"activation must be one of {', '.join((*_PLAIN, *_ROTATED))}. "
                f"Received: activation={self.activation}"
            )

    def images(self, input_shape):
        """The input, in the dtype of the weights: a model casts to it."""
        dtype = keras.config.dtype_policy().variable_dtype
        return keras.Input(input_shape, name="images", dtype=dtype)

    def activate(self, x, name):
        """The network's activation, plain or rotated."""
        if self.activation in _ROTATED:
            return _ROTATED[self.activation](
                slope_initializer=_fresh(self.slope_initializer),
                slope_regularizer=self.slope_regularizer,
                fused=self.fused,
                name=name,
            )(x)
        return keras.layers.Activation(self.activation, name=name)(x)

    def plain(self, x, name):
        """The same activation without a slope: stems and heads."""
        stem = self.activation
        if stem in _ROTATED:
            stem = stem.removeprefix("r")
        return keras.layers.Activation(stem, name=name)(x)

    def convolve(self, x, filters, kernel_size, strides, name, use_bias=False):
        """A conv, padded alike on all sides; a bias begins as PyTorch's."""
        x, padding = _pad(x, kernel_size, strides, name)
        return layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            use_bias=use_bias,
            fused=self.fused,
            kernel_initializer=_fresh(self.initializer),
            bias_initializer=torch_uniform(kernel_size**2 * x.shape[-1]),
            name=name,
        )(x)

    def filter_channels(self, x, kernel_size, strides, name):
        """A depthwise conv without bias, padded alike on all sides.

        It begins as PyTorch's default: the fan-in is that of one channel,
        where Keras's initializers take the one of all.
        """
        x, padding = _pad(x, kernel_size, strides, name)
        return layers.DepthwiseConv2D(
            kernel_size,
            fused=self.fused,
            strides=strides,
            padding=padding,
            use_bias=False,
            depthwise_initializer=torch_uniform(kernel_size**2),
            name=name,
        )(x)

    def normalize(self, x, name):
        """Batch normalisation with PyTorch's momentum and epsilon."""
        return layers.BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            synchronized=self.sync_batch_norm,
            fused=self.fused,
            name=name,
        )(x)


def _pad(x, kernel_size, strides, name):
    """The input, padded where a layer must do it, and the conv's padding.

    Keras's "same" pads a 3x3 conv of stride 2 by 0 and 1, PyTorch by 1 and 1:
    with strides the padding is a layer of its own.
    """
    if strides == 1 or kernel_size == 1:
        return x, "same"
    pad = layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")
    return pad(x), "valid"


def _fresh(initializer):
    """A copy with a seed of its own: one instance repeats its draws."""
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


def torch_uniform(fan_in, seed=None):
    """PyTorch's default for linear layers: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    PyTorch uses it for weights and biases alike.
    """
    bound = fan_in**-0.5
    return keras.initializers.RandomUniform(-bound, bound, seed=seed)


def torch_kernels():
    """`torch_uniform` of each kernel's own fan-in: convs and linear layers.

    PyTorch's default, which it writes kaiming_uniform(a=sqrt(5)).
    """
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
