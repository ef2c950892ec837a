"""Layers: rotated activations, channel gather, fused batch normalisation."""

from rrelu_tf.layers.batch_normalization import BatchNormalization
from rrelu_tf.layers.channel_gather import ChannelGather
from rrelu_tf.layers.rotated import RGELU, Rotated, RReLU, RSiLU
