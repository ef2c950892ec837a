"""The flags that say what channels are judged by, and of which weights."""

from absl import flags

# Named here too, since rrelu_tf.scoring takes TensorFlow to load.
_SCORES = (
    *("slope", "bn", "l1", "sfp", "fpgm", "fisher", "orthoreg", "tfo", "rdt"),
    *("grasp", "random"),
)
NAMES = ("score", "which", "align")


def define(flag_values):
    """Adds the flags to a command's `FlagValues`."""
    flags.DEFINE_enum(
        "score",
        "slope",
        _SCORES,
        "What channels are judged by: the slopes of rotated activations, the "
        "scales of batch normalisations (bn, network slimming), or another of "
        "rrelu_tf.score; those that need data get training data, unaugmented.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "which",
        "last",
        ["best", "last"],
        "The checkpoint that is pruned: the last, whose slopes have decayed "
        "longest, or the best on validation. In rounds of a retraining, too, "
        "but for --retrain_which.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "align",
        "gather",
        ["gather", "couple", "auto"],
        "gather removes every dead channel, and gathers where widths differ; "
        "couple keeps channels that meet in an Add together, without gathers; "
        "auto takes the cheaper of both, by a cost model of CPU time.",
        flag_values=flag_values,
    )
