"""Deciding which channels go, and writing zeros there."""

from rrelu_tf.pruning.agreement import score_agreement
from rrelu_tf.pruning.early_bird import EarlyBird
from rrelu_tf.pruning.masking import mask
from rrelu_tf.pruning.ratios import round_ratios, seed_rounds
from rrelu_tf.pruning.seed_pruning import seed_parameters, seed_pruned
from rrelu_tf.pruning.selection import select
from rrelu_tf.pruning.wrappers import (
    PruningSummaries,
    UpdatePruningStep,
    prune_channels,
    strip_pruning,
)
