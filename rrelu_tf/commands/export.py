"""Exports a model: for TensorFlow Serving, LiteRT, ONNX Runtime, OpenVINO.

    bin/export --run=runs/digits-resnet20-rrelu-seed0
    bin/export --run=runs/digits-resnet20-rrelu-seed0 --format=litert_int8,onnx

writes `<run>/serving/<version>/`, a SavedModel: the pruned model where
bin/prune has been, with preprocessing inside. It is loaded again and compared
before it counts as written, here and in a fresh process that cannot import
rrelu_tf. Other formats go to `<run>/exported/<version>/`, each loaded by its
own runtime and compared. Exit codes: 0 done; 2 a mistake in what was given.
"""

import json
import pathlib
import re
import shlex

from absl import flags

from rrelu_tf import atomic
from rrelu_tf.commands import data_flags, entry, model_flags, quiet
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

model_flags.define(FLAGS, "A .keras file")
data_flags.define(FLAGS)
# Named here too, since rrelu_tf.export takes TensorFlow to load.
_SAVED_MODEL = "saved_model"
_PORTABLE = ("litert", "litert_float16", "litert_int8", "onnx", "openvino")
flags.DEFINE_list(
    "format",
    [_SAVED_MODEL],
    f"What to write: {_SAVED_MODEL}, {', '.join(_PORTABLE)}; several with "
    "commas between them.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "representative",
    200,
    "Training images that int8 takes its ranges from, and that the table "
    "compares files on.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "Folder of the model's versions; default: `serving` in the run's folder, "
    "or `exported` for other formats than a SavedModel.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "version",
    None,
    "Version number; default: the next after those in --out.",
    flag_values=FLAGS,
)


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    _check(values)
    quiet.import_tensorflow()
    chosen = model_flags.load(values)
    portable = [name for name in values.format if name != _SAVED_MODEL]
    served = None
    if _SAVED_MODEL in values.format:
        served = _write_saved_model(values, chosen)
    if portable:
        _write_portable(values, chosen, portable, served)
    _show_run(chosen)


def _check(values):
    formats = (_SAVED_MODEL, *_PORTABLE)
    for name in values.format or [""]:
        if name not in formats:
            raise UserError(
                f"format must be of {', '.join(formats)}. "
                f"Received: format={name}"
            )
    if values.out is None and values.run is None:
        raise UserError("Without --run give --out. Received: out=None")
    mixed = _SAVED_MODEL in values.format and len(set(values.format)) > 1
    if mixed and values.out is not None:
        raise UserError(
            "A SavedModel has a folder of its own: with --out, export it "
            f"alone. Received: format={','.join(values.format)}"
        )


def _write_saved_model(values, chosen):
    from rrelu_tf.export import saved_model

    preprocessing, class_names = _serving_facts(values, chosen)
    out = pathlib.Path(values.out or chosen.run.path / "serving")
    path = saved_model.write(
        chosen.model,
        out,
        preprocessing=preprocessing,
        class_names=class_names,
        version=values.version,
    )
    _show(chosen, path, preprocessing, class_names)
    return path


def _write_portable(values, chosen, formats, served):
    """Writes the other formats, and a table of all that was written."""
    from rrelu_tf.analysis import export_table
    from rrelu_tf.export import portable, written

    preprocessing, images = _pixels(values, chosen)
    files = portable.write(
        chosen.model,
        pathlib.Path(values.out or chosen.run.path / "exported"),
        formats,
        preprocessing=preprocessing,
        representative=images,
        version=values.version,
    )
    folder = files[0].path.parent
    print(f"exported {chosen.label}\nto       {folder}")
    height, width, channels = preprocessing.image_shape
    print(
        f"         images, {height} x {width} x {channels} of 0..255, to "
        "logits; each loaded by its own runtime, and compared"
    )
    if served is not None:
        files.insert(
            0, written.saved_model(served, chosen.model, preprocessing, images)
        )
    table = export_table.measure(chosen.model, files, preprocessing)
    table.print()
    atomic.write_text(folder / "table.md", table.markdown())


def _pixels(values, chosen):
    """(preprocessing, raw training images, or None where there are none)."""
    from rrelu_tf.analysis import splits
    from rrelu_tf.export import fitting

    if chosen.run is None and not data_flags.given(values):
        if chosen.preprocessing is None:
            raise UserError(
                "Without --run, and no manifest beside the model, name its "
                "data. Received: dataset=None"
            )
        return chosen.preprocessing, None
    data = data_flags.load(values, chosen.run, chosen.preprocessing)
    shape = data.preprocessing.image_shape
    fitting.check(chosen.model, shape, len(data.class_names))
    images = splits.pixels(data, values.representative)
    return data.preprocessing, images


def _serving_facts(values, chosen):
    """(preprocessing, class names), from the manifest or else the data."""
    from rrelu_tf.data import Preprocessing

    if chosen.manifest and not data_flags.given(values):
        try:
            text = json.dumps(chosen.manifest["preprocessing"])
            names = [str(name) for name in chosen.manifest["class_names"]]
            return Preprocessing.from_json(text), names
        except (KeyError, TypeError) as error:
            raise UserError(
                "The manifest beside the model must hold `preprocessing` and "
                f"`class_names`. Received: model={chosen.path}"
            ) from error
    data = data_flags.load(values, chosen.run)
    return data.preprocessing, data.class_names


def _show(chosen, path, preprocessing, class_names):
    from rrelu_tf.analysis import report

    height, width, channels = preprocessing.image_shape
    size = f"{height} x {width} x {channels}"
    if preprocessing.resize:
        size = f"any height x any width x {channels}"
    print(f"exported {chosen.label}")
    print(f"to       {path}")
    print(
        f"         {report.file_bytes(path):,} bytes, "
        f"{chosen.model.count_params():,} parameters, "
        f"{len(class_names)} classes, uint8 images of {size}; loaded again "
        "in a process without rrelu_tf, and equal to the source"
    )
    # A name that is safe in a URL and in a container's path.
    name = re.sub(r"[^\w-]", "_", chosen.model.name)
    out = shlex.quote(str(path.parent.resolve()))
    request = shlex.quote(f"@{path.resolve() / 'assets.extra/request.json'}")
    print("\nserve it with TensorFlow Serving:")
    print(
        f"docker run --rm -p 8501:8501 -v {out}:/models/{name}:ro "
        f"-e MODEL_NAME={name} tensorflow/serving"
    )
    print("ask it, with an example image of random pixels:")
    print(
        f"curl -d {request} http://localhost:8501/v1/models/{name}"
        f"/versions/{path.name}:predict"
    )


def _show_run(chosen):
    """What pruning changed, and where to look, if it is a run's model."""
    if chosen.run is None:
        return
    from rrelu_tf.analysis import report

    folder = chosen.path if chosen.path.is_dir() else chosen.path.parent
    if (folder / "manifest.json").exists():
        print()
        report.read(folder).print()
        print(f"plots:       {folder / 'plots'}")
    print(f"TensorBoard: tensorboard --logdir {chosen.run.tensorboard}")
