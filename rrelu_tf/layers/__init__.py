"""Layers: rotated, convolving, normalising, gathering, augmented, tokens."""

from rrelu_tf.layers.augmented import (
    AUGMENTED,
    AugmentedConv1D,
    AugmentedConv2D,
    AugmentedConv3D,
    AugmentedDense,
    AugmentedDepthwiseConv1D,
    AugmentedDepthwiseConv2D,
)
from rrelu_tf.layers.batch_normalization import BatchNormalization
from rrelu_tf.layers.channel_gather import ChannelGather
from rrelu_tf.layers.class_token import ClassToken
from rrelu_tf.layers.convolutions import Conv2D, DepthwiseConv2D
from rrelu_tf.layers.position_embedding import PositionEmbedding
from rrelu_tf.layers.rotated import RGELU, Rotated, RReLU, RSiLU
from rrelu_tf.layers.zero_padding2d import ZeroPadding2D
