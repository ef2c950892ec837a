"""The flags of bin/train that are about which net, and about pruning it."""

import dataclasses

from absl import flags

from rrelu_tf.commands import pruning_flags, rounds_flags
from rrelu_tf.errors import UserError
from rrelu_tf.rounds import retraining
from rrelu_tf.rounds.plan import AMOUNTS
from rrelu_tf.training.recipe import Recipe


def define(flag_values):
    """Adds the flags to a command's `FlagValues`."""
    flags.DEFINE_boolean(
        "prune",
        False,
        "Prune in rounds once it is trained, to <run>/pruned, as bin/prune "
        "does with the same flags.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "only_train",
        None,
        ["base", "ortho"],
        "Train one net and stop before pruning: base, without --orthoreg, or "
        "ortho, with it.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "pretrained",
        None,
        "With --prune, instead of training: the trained net, a .keras file or "
        "a run's folder, of this --arch.",
        flag_values=flag_values,
    )
    pruning_flags.define(flag_values)
    rounds_flags.define(flag_values)


def one_net(values, recipe):
    """The `Recipe` of the net that --only_train asks for, or the recipe."""
    if values.only_train == "base":
        drawn = recipe.early_bird != "none"
        protocol = recipe.protocol if drawn else Recipe.protocol
        return dataclasses.replace(recipe, orthoreg=0.0, protocol=protocol)
    if values.only_train == "ortho" and not recipe.orthoreg:
        raise UserError(
            "only_train=ortho needs a net with OrthoReg: give --orthoreg. "
            f"Received: orthoreg={recipe.orthoreg}"
        )
    return recipe


def plan(values, recipe):
    """The `Plan` to prune by after training; None to stop before that.

    Raises:
        UserError: for flags of pruning without --prune, and the other way
            round; for choices that break their rules.
    """
    asked = rounds_flags.plan(values)
    if values.only_train and values.pretrained:
        raise UserError(
            "pretrained is a net to prune, and only_train stops before that. "
            f"Received: pretrained={values.pretrained}"
        )
    if not values.prune:
        _refuse_without_pruning(values, asked)
        return None
    if asked is None:
        raise UserError(
            "prune needs to know how much: give one of "
            f"{', '.join(f'--{name}' for name in AMOUNTS)}. "
            "Received: prune=True"
        )
    if asked.score == "slope" and recipe.activation in ("relu", "gelu", "silu"):
        raise UserError(
            "score=slope needs a rotated activation: give another --score. "
            f"Received: activation={recipe.activation}"
        )
    retraining.check(recipe, asked)
    if values.pretrained:
        _refuse_training(values, recipe, asked)
    return None if values.only_train else asked


def _refuse_training(values, recipe, asked):
    """Refuses what only the training would do that a net is given for."""
    unused = ["early_bird"] if recipe.early_bird != "none" else []
    if recipe.orthoreg and not asked.has_ortho:
        unused.append("orthoreg")
    for name in unused:
        raise UserError(
            f"{name} is for training, which pretrained takes the place of. "
            f"Received: {name}={values[name].value}"
        )


def _refuse_without_pruning(values, asked):
    names = ["pretrained", *pruning_flags.NAMES]
    names += AMOUNTS if asked else []
    for name in names:
        if values[name].present:
            raise UserError(
                f"{name} is for pruning: give --prune, too. "
                f"Received: {name}={rounds_flags.text(values[name].value)}"
            )
