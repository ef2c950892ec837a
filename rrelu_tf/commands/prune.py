"""Chooses zeta, strips the dead channels of a run, verifies, reports.

    bin/prune --run=runs/digits-resnet20-rrelu-seed0
    bin/prune --model=net.keras --dataset=cifar10 --zeta=0.1
    bin/prune --run=runs/digits-resnet20-relu-seed0 --score=fisher \\
        --sparsity=0.5 --rounds=2 --retrain_epochs=4

writes `<run>/pruned/`, or `net_pruned/`: the small model, the manifest of what
it kept, the report and plots. With several tolerances, as --tolerance=0.5,1,2,
writes `pruned-0.5/` and so on, one for each at which a channel may go.
--sparsity, --thresholds or a budget make rounds, each pruned and retrained,
which the same command goes on with after a kill. A model that is not equal to
the masked one is never written. Exit codes: 0 done; 2 a mistake in what was
given; 130 and 143 rounds stopped by SIGINT and SIGTERM.
"""

import math
import pathlib

from absl import flags

from rrelu_tf.commands import (
    data_flags,
    entry,
    model_flags,
    pruning_flags,
    pruning_rounds,
    quiet,
    rounds_flags,
    termination,
)
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

flags.DEFINE_string("run", None, "Run folder of bin/train.", flag_values=FLAGS)
flags.DEFINE_string(
    "model",
    None,
    "A .keras file instead, with the flags that name its data.",
    flag_values=FLAGS,
)
data_flags.define(FLAGS)
pruning_flags.define(FLAGS)
rounds_flags.define(FLAGS)
flags.DEFINE_enum(
    "protocol",
    "correct",
    ["correct", "seed"],
    "In rounds, seed: scores, thresholds and protection as the OrthoReg "
    "authors' code has them for their nets, mistakes included.",
    flag_values=FLAGS,
)
_SAMPLES = 10_000  # the most examples that a score is computed from
flags.DEFINE_string(
    "zeta",
    "auto",
    "Channels that score at most this go, of slopes and scales their size; "
    "auto: the largest that validation data allow. Not in rounds.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "tolerance",
    ["0.1"],
    "With --zeta=auto, validation accuracy that may be lost, in points; or "
    "several, as 0.25,0.5,1.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "Folder to write; default: <run>/pruned, or <name>_pruned beside the "
    "model; with several tolerances, <out>-<tolerance> for each.",
    flag_values=FLAGS,
)


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    _check(values)
    plan = rounds_flags.plan(values)
    return _at_once(values) if plan is None else _in_rounds(values, plan)


_GO_ON = "the same command goes on from what is whole in its folder"


def _in_rounds(values, plan):
    for name in ("zeta", "tolerance"):
        if values[name].present:
            raise UserError(
                f"{name} is for pruning at once, and {plan.amount} is for "
                f"rounds: give one of them. Received: {name}="
                f"{rounds_flags.text(values[name].value)}"
            )
    return termination.run(lambda: pruning_rounds.prune(values, plan), _GO_ON)


def _at_once(values):
    if values["protocol"].present:
        raise UserError(
            "protocol is for pruning in rounds. "
            f"Received: protocol={values.protocol}"
        )
    zeta, tolerances = _zeta(values.zeta), _tolerances(values)
    quiet.import_tensorflow()
    from rrelu_tf.pruning import outputs

    base, read = (_of_run if values.run else _of_file)(values)
    folders = dict.fromkeys(tolerances, base)
    if len(tolerances) > 1:
        folders = {t: f"{base}-{t:.12g}" for t in tolerances}
    folders = {t: outputs.check_folder(name) for t, name in folders.items()}
    model, data, notes, origin = read()
    notes["align"] = values.align
    for tolerance, pruned in _prune(values, model, data, zeta, tolerances):
        if pruned is None:
            print(f"tolerance {tolerance:g}: no channel may go")
            continue
        more = {} if tolerance is None else {"tolerance": tolerance}
        more |= {"tolerances": tolerances} if len(tolerances) > 1 else {}
        folder = folders[tolerance]
        found = {**notes, **more}
        report = outputs.write(folder, model, pruned, data, found, origin)
        _show(pruned.choice, report, folder)
    return 0


def _prune(values, model, data, zeta, tolerances):
    """(tolerance in points, or None with a threshold, `Pruned`) of each."""
    from rrelu_tf.pruning import procedure

    options = {
        "training": data.unaugmented(_SAMPLES),
        "method": values.score,
        "align": values.align,
    }
    if zeta != "auto":
        options["zeta"] = zeta
        yield None, procedure.prune(model, data.validation, **options)
        return
    shares = {tolerance / 100: tolerance for tolerance in tolerances}
    for share, pruned in procedure.prune_each(
        model, data.validation, shares, **options
    ):
        yield shares[share], pruned


def _check(values):
    if bool(values.run) == bool(values.model):
        raise UserError(
            "bin/prune needs a run folder, or else a model. "
            f"Received: run={values.run}, model={values.model}"
        )
    if values.model and values["which"].present:
        raise UserError(
            "--which chooses among a run's checkpoints and may not be given "
            f"with --model. Received: which={values.which}"
        )


def _tolerances(values):
    """In points, ascending; [None] where the threshold is given."""
    given = ",".join(values.tolerance)
    if values.zeta != "auto":
        if not values["tolerance"].present:
            return [None]
        raise UserError(
            "tolerance is for --zeta=auto: a threshold that is given needs "
            f"none. Received: tolerance={given}"
        )
    try:
        found = sorted({float(text) for text in values.tolerance})
    except ValueError:
        found = []
    if not found or not all(0 <= tolerance <= 100 for tolerance in found):
        raise UserError(
            "tolerance must lie between 0 and 100 points, or be several such "
            f"numbers, as 0.5,1,2. Received: tolerance={given}"
        )
    return found


def _of_run(values):
    """The folder to write, and a function that reads what is to be pruned.

    It returns the model, its data, notes for the report, the model's origin.
    """
    from rrelu_tf.training import origin

    run = pruning_rounds.finished(values.run)

    def read():
        model = run.last() if values.which == "last" else run.best()
        notes = {"checkpoint": values.which, "run": str(run.path)}
        return model, data_flags.load(values, run), notes, origin.of_run(run)

    return values.out or run.path / "pruned", read


def _of_file(values):
    """The same, of a model that no run made."""
    from rrelu_tf.export import fitting
    from rrelu_tf.training import origin

    path = pathlib.Path(values.model)
    chosen = model_flags.from_file(path)

    def read():
        data = data_flags.load(values, None, chosen.preprocessing)
        fitting.check(chosen.model, data.image_shape, data.num_classes)
        known = origin.of(path)
        known = known if "dense" in known else {}
        return chosen.model, data, {"model": str(path)}, known

    return values.out or path.with_name(f"{path.stem}_pruned"), read


def _zeta(text):
    """A threshold, or "auto"."""
    if text == "auto":
        return text
    try:
        zeta = float(text)
    except ValueError:
        zeta = math.nan
    if math.isfinite(zeta) and zeta >= 0:
        return zeta
    raise UserError(
        'zeta must be "auto" or a finite number of at least 0. '
        f"Received: zeta={text}"
    )


def _show(choice, report, folder):
    """The curve, the table and where the files are."""
    print("zeta, silent channels, validation accuracy:")
    for trial in choice.curve:
        mark = "  <= chosen" if trial == choice.chosen else ""
        accuracy = "not measured"
        if trial.accuracy is not None:
            accuracy = f"{100 * trial.accuracy:6.2f} %"
        print(f"  {trial.zeta:10.4g}  {trial.dead:6d}  {accuracy}{mark}")
    report.print()
    for key, note in report.notes.items():
        print(f"{key}: {note}")
    print(f"model, manifest, report and plots: {folder}")
