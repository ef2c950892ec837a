"""The flags of pruning in rounds, and the `Plan` that they make."""

import dataclasses

from absl import flags

from rrelu_tf.commands import pruning_flags
from rrelu_tf.errors import UserError
from rrelu_tf.rounds import retraining
from rrelu_tf.rounds.plan import AMOUNTS, Plan
from rrelu_tf.training.recipe import Recipe

_OWN = (
    *("thresholds", "scope", "retrain_epochs", "retrain_milestones"),
    "retrain_which",
)
_DEFINE = {float: flags.DEFINE_float, int: flags.DEFINE_integer}
_HELP = {
    "sparsity": "In rounds: share of the channels that goes in all.",
    "flops": "In rounds, instead: FLOPs that are left, a fraction or a number.",
    "params": "In rounds, instead: parameters that are left.",
    "latency": "In rounds, instead: CPU time that is left, a fraction or ms.",
    "rounds": "Rounds that --sparsity or a budget is spread over: 1.",
    "samples": "Training images that a score is computed from, at the most.",
    "min_fraction": "Share of its channels that each layer keeps in a round.",
    "round_to": "Widths are rounded up to a multiple of this.",
    "recalibrate": "Training images that batch normalisations get statistics "
    "from after each round's pruning, before retraining; 0: none.",
}


def define(flag_values):
    """Adds the flags to a command's `FlagValues`; a plan's own, unset."""
    fields = {field.name: field.default for field in dataclasses.fields(Plan)}
    for name, about in _HELP.items():
        whole = name in ("rounds", "samples", "round_to", "recalibrate")
        default = fields[name]
        _DEFINE[int if whole else float](
            name, default, about, flag_values=flag_values
        )
    flags.DEFINE_list(
        "thresholds",
        [],
        "In rounds, instead: percent of the channels gone after each round, "
        "10,50,80.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "scope",
        "global",
        ["global", "layer"],
        "Scores of all layers are compared, or each layer loses the same.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "retrain_epochs",
        [],
        "Epochs of retraining after each round, 40,40,100, the last entry for "
        "all that follow; 40+20: then 20 with OrthoReg and without weight "
        "decay; 0: none. Default: the run's.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "retrain_milestones",
        None,
        "Milestones of retraining, 35,70, or of each round, the last entry for "
        "all that follow, and behind a plus those of the training with "
        "OrthoReg: '35,70+24;40,80'. Default: the run's, moved with the "
        "epochs.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "retrain_which",
        None,
        ["best", "last"],
        "The epoch of a retraining that goes on; default: as --which.",
        flag_values=flag_values,
    )
    for name in retraining.FIELDS:
        _define_retraining(flag_values, name)


def _define_retraining(flag_values, name):
    default = getattr(Recipe, name)
    about = f"--{name} of retraining; default: the run's."
    name = f"retrain_{name}"
    if isinstance(default, tuple):
        flags.DEFINE_list(name, None, about, flag_values=flag_values)
    elif isinstance(default, str):
        flags.DEFINE_string(name, None, about, flag_values=flag_values)
    else:
        _DEFINE[type(default)](name, None, about, flag_values=flag_values)


def plan(values):
    """The `Plan` that parsed flags make; None if they ask for no rounds.

    Raises:
        UserError: for choices that break their rules, or that are for rounds
            where nothing says how much is to go.
    """
    own = [*_HELP, *_OWN]
    own += [f"retrain_{name}" for name in retraining.FIELDS]
    given = [name for name in own if values[name].present]
    if not any(name in given for name in AMOUNTS):
        if given:
            raise UserError(
                f"{given[0]} is for pruning in rounds: give one of "
                f"{', '.join(f'--{name}' for name in AMOUNTS)}, too. "
                f"Received: {given[0]}={text(values[given[0]].value)}"
            )
        return None
    chosen = {
        name: values[name].value
        for name in (*_HELP, *pruning_flags.NAMES, "scope", "retrain_which")
    }
    milestones = values.retrain_milestones
    return Plan(
        **chosen,
        protocol=values.protocol,
        thresholds=_numbers(values, "thresholds", float),
        retrain_epochs=tuple(values.retrain_epochs),
        retrain_milestones=tuple(milestones.split(";")) if milestones else (),
        retraining=_retraining(values),
    )


def _retraining(values):
    found = {}
    for name in retraining.FIELDS:
        value = values[f"retrain_{name}"].value
        if value is not None:
            found[name] = value
    return found


def _numbers(values, name, kind):
    try:
        return tuple(kind(entry) for entry in values[name].value)
    except ValueError as error:
        raise UserError(
            f"{name} must be numbers between commas. "
            f"Received: {name}={text(values[name].value)}"
        ) from error


def text(value):
    """A flag's value as it was written."""
    return ",".join(value) if isinstance(value, list) else value
