"""How channels pass each kind of layer: three questions, one rule a family."""

from rrelu_tf.strip.rules import (
    activations,
    channelwise,
    index_maps,
    linear,
    merge,
)
from rrelu_tf.strip.rules.base import Call, Rule, Twin
from rrelu_tf.strip.rules.table import passes_channels, rule, rule_of
