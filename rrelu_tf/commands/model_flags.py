"""The flags that name a model: a run's, or a file's."""

import dataclasses
import json
import pathlib
from typing import Any

from absl import flags

from rrelu_tf.commands import checkpoint_flags
from rrelu_tf.errors import UserError

_WHICH = ("auto", "pruned", "best", "last")


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The model that the flags name.

    Attributes:
        label: what it is, for people.
        path: `pathlib.Path` of its file or folder; of the run for `best` and
            `last`.
        run: the `Run` that it belongs to, or None.
        model: the `keras.Model`; None for a SavedModel.
        manifest: dict beside a pruned model; {} for others.
    """

    label: str
    path: pathlib.Path
    run: Any
    model: Any
    manifest: dict

    @property
    def preprocessing(self):
        """The `Preprocessing` in the manifest; None where there is none.

        Raises:
            UserError: if it is incomplete.
        """
        if "preprocessing" not in self.manifest:
            return None
        from rrelu_tf.data import Preprocessing

        try:
            text = json.dumps(self.manifest["preprocessing"])
            return Preprocessing.from_json(text)
        except (KeyError, TypeError) as error:
            raise UserError(
                "The preprocessing in the manifest beside the model must be "
                f"whole. Received: model={self.path}"
            ) from error


def define(flag_values, kinds):
    """Adds the flags to a command's `FlagValues`; `kinds` is for the help."""
    flags.DEFINE_string(
        "run", None, "Run folder of bin/train.", flag_values=flag_values
    )
    flags.DEFINE_string(
        "model",
        None,
        f"{kinds}; with --run, of that run's data.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "which",
        "auto",
        _WHICH,
        "Which model of the run: best on validation, last, or pruned; auto: "
        "pruned where bin/prune has been, else best.",
        flag_values=flag_values,
    )


def load(values, saved_models=False, checkpoints=False):
    """Loads the model that the flags name.

    Args:
        values: parsed flags.
        saved_models: whether a SavedModel folder is welcome, too.
        checkpoints: whether a checkpoint's weights are, with the flags of
            `checkpoint_flags`.

    Returns:
        A `Chosen`.

    Raises:
        UserError: if they name none, or one that cannot be read.
    """
    if values.run is None and values.model is None:
        raise UserError("Give --run or --model. Received: run=None, model=None")
    if values.model is not None and values["which"].present:
        raise UserError(
            "--which chooses among a run's models and may not be given with "
            f"--model. Received: which={values.which}"
        )
    run = None
    if values.run is not None:
        from rrelu_tf.training.run_folder import Run

        run = Run.open(values.run)
    if values.model is not None:
        path = pathlib.Path(values.model)
        if checkpoints and path.suffix in checkpoint_flags.SUFFIXES:
            model = checkpoint_flags.load(values, path)
            return Chosen(str(path), path, run, model, {})
        return from_file(path, run, saved_models)
    return _from_run(run, values.which)


def _from_run(run, which):
    pruned = run.path / "pruned" / "model.keras"
    if which == "pruned" or (which == "auto" and pruned.exists()):
        return from_file(pruned, run, False)
    if which == "last":
        return Chosen(f"{run.path} (last epoch)", run.path, run, run.last(), {})
    label = f"{run.path} (best epoch, {run.best_epoch})"
    return Chosen(label, run.path, run, run.best(), {})


def from_file(path, run=None, saved_models=False):
    """The `Chosen` of one file, with what lies beside it."""
    if path.suffix == ".keras":
        from rrelu_tf.models import keras_file

        model, manifest = keras_file.load(path), _manifest(path)
        return Chosen(str(path), path, run, model, manifest)
    if saved_models:
        from rrelu_tf.export import served

        found = served.find(path)
        if found is not None:
            return Chosen(str(found), found, run, None, {})
    kinds = "a .keras file" + (
        " or a SavedModel folder (a run folder goes with --run)"
        if saved_models
        else ""
    )
    raise UserError(f"model must be {kinds}. Received: model={path}")


def _manifest(path):
    file = path.with_name("manifest.json")
    try:
        manifest = json.loads(file.read_text())
        return manifest if isinstance(manifest, dict) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(
            f"A manifest beside a model must be readable JSON. "
            f"Received: manifest={file}"
        ) from error
