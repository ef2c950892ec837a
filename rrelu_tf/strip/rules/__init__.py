"""How channels pass each kind of layer: three questions, one rule a family."""

from rrelu_tf.strip.rules import (
    activations,
    along,
    attention,
    channelwise,
    concatenate,
    dot,
    einsum,
    embedding,
    gather,
    linear,
    merge,
    movement,
    norms,
    wrapped,
)
from rrelu_tf.strip.rules.base import Call, Rule, Twin
from rrelu_tf.strip.rules.registered import register
from rrelu_tf.strip.rules.stand_ins import StandIn
from rrelu_tf.strip.rules.table import passes_channels, rule, rule_of
