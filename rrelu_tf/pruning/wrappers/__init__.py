"""Pruning while training, as TFMOT's users know it, of whole channels."""

from rrelu_tf.pruning.wrappers.policy import PruningPolicy
from rrelu_tf.pruning.wrappers.stripping import strip_pruning
from rrelu_tf.pruning.wrappers.summaries import PruningSummaries
from rrelu_tf.pruning.wrappers.updating import UpdatePruningStep
from rrelu_tf.pruning.wrappers.wrapper import PruneChannels
from rrelu_tf.pruning.wrappers.wrapping import prune_channels
