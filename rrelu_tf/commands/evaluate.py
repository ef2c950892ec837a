"""Evaluates a run, a .keras file, a checkpoint's weights or a SavedModel.

    bin/evaluate --run=runs/digits-resnet20-rrelu-seed0 --flops --latency

prints accuracy and loss on test data; on request also those on train,
operations per layer, compression, orthogonality, latency and plots. Exit codes:
0 done; 2 a mistake in what was given.
"""

import dataclasses
import json

from absl import flags

from rrelu_tf import atomic
from rrelu_tf.commands import (
    checkpoint_flags,
    data_flags,
    dense_flags,
    entry,
    model_flags,
    quiet,
)
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

model_flags.define(
    FLAGS, "A .keras file, a checkpoint's weights or a SavedModel folder"
)
checkpoint_flags.define(FLAGS)
dense_flags.define(FLAGS)
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
    "train_accuracy",
    False,
    "Evaluate on training data, too, without augmentation.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "flops",
    False,
    "Show parameters and operations per layer, and the sum as the OrthoReg "
    "authors' tool, ptflops, has it.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "orthogonality",
    False,
    "Show the degree of orthogonality of each layer's filters.",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "protocol",
    "correct",
    ["correct", "seed"],
    "seed: orthogonality as the OrthoReg authors' code measures it.",
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
    from rrelu_tf.analysis import splits

    chosen = model_flags.load(values, saved_models=True, checkpoints=True)
    _check_layers(values, chosen)
    dense = dense_flags.load(values, chosen)
    if values.plots:
        _check_slopes(chosen)
    data = data_flags.load(
        values,
        chosen.run,
        chosen.preprocessing,
        batch_size=values.batch_size,
    )
    classify, raw = _classifier(chosen, data)
    batches = splits.batches(data, values.split, raw=raw)
    print(f"model: {chosen.label}\ndata: {data.description}")
    figures = {"model": chosen.label, "data": data.description}
    figures |= _score(classify, batches, values.split)
    if values.train_accuracy:
        train = splits.batches(data, "train", raw=raw)
        figures["train"] = _score(classify, train, "train")
    if values.flops:
        figures |= _flops(chosen.model)
    if dense is not None:
        figures |= _compression(chosen.model, dense)
    if values.orthogonality:
        figures |= _orthogonality(chosen.model, values.protocol)
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
    if values.protocol != "correct" and not values.orthogonality:
        raise UserError(
            "protocol is for --orthogonality. "
            f"Received: protocol={values.protocol}"
        )
    checkpoint_flags.check(values, values.model, values.dense)
    if not 0 <= values.zeta < float("inf"):
        raise UserError(
            "zeta must be a finite number, at least 0. "
            f"Received: zeta={values.zeta}"
        )


def _check_layers(values, chosen):
    """Checks that there are layers where they are to be looked at."""
    names = ("flops", "orthogonality", "plots", "compression", "dense")
    asked = [name for name in names if values[name].value]
    if chosen.model is None and asked:
        raise UserError(
            f"--{asked[0]} needs a Keras model: a SavedModel has no layers to "
            f"look at. Received: model={chosen.path}"
        )


def _classifier(chosen, data):
    """(function from images to log-probabilities, whether of raw images)."""
    from rrelu_tf.analysis import accuracy
    from rrelu_tf.export import fitting, served

    if chosen.model is not None:
        fitting.check(chosen.model, data.image_shape, data.num_classes)
        return accuracy.of_model(chosen.model), False
    # Images that are resized differ in size, and do not make raw batches.
    found = served.load(chosen.path, raw=data.preprocessing.resize is None)
    found.check(data.image_shape, data.num_classes)
    return found.classify, found.raw


def _score(classify, batches, split):
    from rrelu_tf.analysis import accuracy

    score = accuracy.evaluate(classify, batches)
    print(
        f"{split}: accuracy {100 * score.accuracy:.2f} %, "
        f"loss {score.loss:.4f}, {score.examples:,} images"
    )
    return {"split": split, **dataclasses.asdict(score)}


def _flops(model):
    from rrelu_tf.analysis import ptflops
    from rrelu_tf.analysis.profile import profile

    counted = profile(model)
    print(counted.table(), end="")
    theirs = {v: ptflops(model, v) for v in ("0.6.2", "0.7.5")}
    shown = ", ".join(f"{v}: {count:,}" for v, count in theirs.items())
    print(f"as ptflops counts, the OrthoReg authors' FLOPs: {shown}")
    names = ("params", "trainable_params", "weights", "macs", "flops")
    return {n: getattr(counted, n) for n in names} | {"ptflops": theirs}


def _compression(model, dense):
    from rrelu_tf.analysis import compression

    found = compression(model, dense.model)
    print(f"compression, against {dense.label}:\n{found.table()}", end="")
    ratios = {n: getattr(found, n) for n in ("params_ratio", "file_ratio")}
    return {"compression": dataclasses.asdict(found) | ratios}


def _orthogonality(model, protocol):
    from rrelu_tf.analysis.orthogonality import orthogonality, table

    known = None if protocol == "correct" else protocol
    degrees = orthogonality(model, protocol=known)
    print(table(degrees), end="")
    return {"orthogonality": degrees}


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
