"""Architectures: one file a family, made by name."""

from rrelu_tf.models import (
    cifar_resnet,
    efficientnet,
    fcnn,
    imagenet_resnet,
    mlp_mixer,
    mobilenet,
    preact_resnet,
    vgg,
    vit,
    wide_resnet,
)
from rrelu_tf.models.registry import create, names, own_options
from rrelu_tf.models.seed_weights import load_seed_weights
