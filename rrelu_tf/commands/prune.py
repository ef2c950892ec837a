"""Chooses zeta, strips the dead channels of a run, verifies, reports.

    bin/prune --run=runs/digits-resnet20-rrelu-seed0
    bin/prune --model=net.keras --dataset=cifar10 --zeta=0.1

writes `<run>/pruned/`, or `net_pruned/`: the small model, the manifest of what
it kept, the report and plots. A model that is not equal to the masked one is
never written. Exit codes: 0 done; 2 a mistake in what was given.
"""

import math
import pathlib

from absl import flags

from rrelu_tf.commands import data_flags, entry, model_flags, quiet
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
# Named here too, since rrelu_tf.scoring takes TensorFlow to load.
_SCORES = (
    *("slope", "bn", "l1", "sfp", "fpgm", "fisher", "orthoreg", "tfo", "rdt"),
    *("grasp", "random"),
)
_SAMPLES = 10_000  # the most examples that a score is computed from
flags.DEFINE_enum(
    "score",
    "slope",
    _SCORES,
    "What channels are judged by: the slopes of rotated activations, the "
    "scales of batch normalisations (bn, network slimming), or another of "
    "rrelu_tf.score; those that need data get training data, unaugmented.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "zeta",
    "auto",
    "Channels that score at most this go, of slopes and scales their size; "
    "auto: the largest that validation data allow.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "tolerance",
    0.1,
    "With --zeta=auto, validation accuracy that may be lost, in points.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "which",
    "last",
    ["best", "last"],
    "The run's checkpoint: the last, whose slopes have decayed longest, or the "
    "best on validation.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "align",
    "gather",
    ["gather", "couple"],
    "gather removes every dead channel, and gathers where widths differ; "
    "couple keeps channels that meet in an Add together, without gathers.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "Folder to write; default: <run>/pruned, or <name>_pruned beside the "
    "model.",
    flag_values=FLAGS,
)


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    _check(values)
    zeta = _zeta(values.zeta)
    quiet.import_tensorflow()
    from rrelu_tf.pruning import outputs, procedure

    model, data, folder, notes, origin = (
        _of_run(values) if values.run else _of_file(values)
    )
    pruned = procedure.prune(
        model,
        data.validation,
        training=data.unaugmented(_SAMPLES),
        method=values.score,
        zeta=zeta,
        tolerance=values.tolerance / 100,
        align=values.align,
    )
    notes["align"] = values.align
    report = outputs.write(folder, model, pruned, data, notes, origin)
    _show(pruned.choice, report, folder)


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
    if values.zeta != "auto" and values["tolerance"].present:
        raise UserError(
            "tolerance is for --zeta=auto: a threshold that is given needs "
            f"none. Received: tolerance={values.tolerance}"
        )
    if not 0 <= values.tolerance <= 100:
        raise UserError(
            "tolerance must lie between 0 and 100 points. "
            f"Received: tolerance={values.tolerance}"
        )


def _of_run(values):
    """(model, data, folder to write, notes for the report, its origin)."""
    from rrelu_tf.pruning import outputs
    from rrelu_tf.training import origin
    from rrelu_tf.training.run_folder import Run

    run = Run.open(values.run)
    if not run.is_finished:
        raise UserError(
            "bin/prune needs a finished run: the same bin/train command goes "
            f"on with it. Received: run={run.path}"
        )
    folder = outputs.check_folder(values.out or run.path / "pruned")
    model = run.last() if values.which == "last" else run.best()
    notes = {"checkpoint": values.which, "run": str(run.path)}
    data = data_flags.load(values, run)
    return model, data, folder, notes, origin.of_run(run)


def _of_file(values):
    """The same, of a model that no run made."""
    from rrelu_tf.export import fitting
    from rrelu_tf.pruning import outputs
    from rrelu_tf.training import origin

    path = pathlib.Path(values.model)
    chosen = model_flags.from_file(path)
    beside = path.with_name(f"{path.stem}_pruned")
    folder = outputs.check_folder(values.out or beside)
    data = data_flags.load(values, None, chosen.preprocessing)
    fitting.check(chosen.model, data.image_shape, data.num_classes)
    known = origin.of(path)
    notes = {"model": str(path)}
    return chosen.model, data, folder, notes, known if "dense" in known else {}


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
