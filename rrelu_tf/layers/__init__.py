"""Layers: rotated activations, channel gather, batch norm, ViT's tokens."""

from rrelu_tf.layers.batch_normalization import BatchNormalization
from rrelu_tf.layers.channel_gather import ChannelGather
from rrelu_tf.layers.class_token import ClassToken
from rrelu_tf.layers.position_embedding import PositionEmbedding
from rrelu_tf.layers.rotated import RGELU, Rotated, RReLU, RSiLU
