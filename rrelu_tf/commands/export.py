"""Exports a model as a SavedModel that TensorFlow Serving takes.

    bin/export --run=runs/digits-resnet20-rrelu-seed0

writes `<run>/serving/<version>/`: the pruned model where bin/prune has been,
with preprocessing inside. It is loaded again and compared before it counts as
written, here and in a fresh process that cannot import rrelu_tf. Exit codes: 0
done; 2 a mistake in what was given.
"""

import json
import pathlib
import re
import shlex

from absl import flags

from rrelu_tf.commands import data_flags, entry, model_flags, quiet
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

model_flags.define(FLAGS, "A .keras file")
data_flags.define(FLAGS)
flags.DEFINE_string(
    "out",
    None,
    "Folder of the model's versions; default: `serving` in the run's folder.",
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
    if values.out is None and values.run is None:
        raise UserError("Without --run give --out. Received: out=None")
    quiet.import_tensorflow()
    from rrelu_tf.export import saved_model

    chosen = model_flags.load(values)
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
    _show_run(chosen)


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
