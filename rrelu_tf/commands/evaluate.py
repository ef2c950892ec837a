"""Evaluates a run, a .keras file or a SavedModel.

    bin/evaluate --run=runs/digits-resnet20-rrelu-seed0 --flops --latency

prints accuracy and loss on test data; on request also operations per layer,
latency and plots. Exit codes: 0 done; 2 a mistake in what was given.
"""

import dataclasses
import json

from absl import flags

from rrelu_tf import atomic
from rrelu_tf.commands import data_flags, entry, model_flags, quiet
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

model_flags.define(FLAGS, "A .keras file or a SavedModel folder")
data_flags.define(FLAGS)
flags.DEFINE_enum(
    "split",
    "test",
    ["test", "validation", "train"],
    "Part of the data to evaluate on, without augmentation.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "batch_size",
    128,
    "Images a step, and per call of --latency.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "flops",
    False,
    "Show parameters and operations per layer.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "latency",
    False,
    "Measure CPU time and wall clock of a batch.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "plots",
    False,
    "Draw slopes and alive channels (and a run's training curves) to "
    "<run>/plots/, or <name>_plots/ beside <name>.keras.",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "zeta",
    0.1,
    "|slope| up to which the plots count a channel as dead.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "json", None, "File to write the figures to.", flag_values=FLAGS
)


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    _check(values)
    quiet.import_tensorflow()
    chosen = model_flags.load(values, saved_models=True)
    if chosen.model is None and (values.flops or values.plots):
        raise UserError(
            "--flops and --plots need a Keras model: a SavedModel has no "
            f"layers to look at. Received: model={chosen.path}"
        )
    if values.plots:
        _check_slopes(chosen)
    data = data_flags.load(
        values,
        chosen.run,
        chosen.preprocessing,
        batch_size=values.batch_size,
    )
    classify, batches = _classifier(chosen, data, values.split)
    print(f"model: {chosen.label}\ndata: {data.description}")
    figures = {"model": chosen.label, "data": data.description}
    figures |= _score(classify, batches, values.split)
    if values.flops:
        figures |= _flops(chosen.model)
    if values.latency:
        figures |= _latency(classify, batches)
    if values.plots:
        _plot(chosen, values.zeta)
    if values.json is not None:
        text = json.dumps(figures, indent=2) + "\n"
        atomic.write_text(values.json, text)
        print(f"figures: {values.json}")


def _check(values):
    if values.batch_size < 1:
        raise UserError(
            "batch_size must be at least 1. "
            f"Received: batch_size={values.batch_size}"
        )
    if not 0 <= values.zeta < float("inf"):
        raise UserError(
            "zeta must be a finite number, at least 0. "
            f"Received: zeta={values.zeta}"
        )


def _classifier(chosen, data, split):
    """(function from images to log-probabilities, the batches it takes)."""
    from rrelu_tf.analysis import accuracy, splits
    from rrelu_tf.export import fitting, served

    if chosen.model is not None:
        fitting.check(chosen.model, data.image_shape, data.num_classes)
        return accuracy.of_model(chosen.model), splits.batches(data, split)
    # Images that are resized differ in size, and do not make raw batches.
    found = served.load(chosen.path, raw=data.preprocessing.resize is None)
    found.check(data.image_shape, data.num_classes)
    return found.classify, splits.batches(data, split, raw=found.raw)


def _score(classify, batches, split):
    from rrelu_tf.analysis import accuracy

    score = accuracy.evaluate(classify, batches)
    print(
        f"{split}: accuracy {100 * score.accuracy:.2f} %, "
        f"loss {score.loss:.4f}, {score.examples:,} images"
    )
    return {"split": split, **dataclasses.asdict(score)}


def _flops(model):
    from rrelu_tf.analysis.profile import profile

    counted = profile(model)
    print(counted.table(), end="")
    names = ("params", "trainable_params", "weights", "macs", "flops")
    return {name: getattr(counted, name) for name in names}


def _latency(classify, batches):
    from rrelu_tf.analysis import latency

    images = next(iter(batches))[0]
    measured = latency.measure(classify, images)
    print(
        f"latency of a batch of {measured.batch_size}: "
        f"{measured.cpu_ms:.2f} ms CPU time, {measured.wall_ms:.2f} ms wall "
        "clock (medians)"
    )
    return {"latency": dataclasses.asdict(measured)}


def _check_slopes(chosen):
    """Checks that there will be something to draw, before all the work."""
    from rrelu_tf.training import slopes

    if not _is_whole_run(chosen) and not slopes.of(chosen.model):
        raise UserError(
            "--plots needs a model with rotated activations. "
            f"Received: model={chosen.path}"
        )


def _is_whole_run(chosen):
    """Whether it is a run's own model, with training curves beside it."""
    return chosen.run is not None and chosen.path == chosen.run.path


def _plot(chosen, zeta):
    from rrelu_tf.training import pictures

    folder = chosen.path.with_name(f"{chosen.path.stem}_plots")
    metrics = None
    if _is_whole_run(chosen):
        folder, metrics = chosen.path / "plots", chosen.run.metrics
    pictures.draw(folder, chosen.model, zeta, metrics)
    print(f"plots: {folder}")
