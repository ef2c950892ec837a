"""The flags that name the dense model that another one is compared with."""

import pathlib

from absl import flags

from rrelu_tf.commands import checkpoint_flags, model_flags
from rrelu_tf.errors import UserError


def define(flag_values):
    """Adds the flags to a command's `FlagValues`."""
    flags.DEFINE_boolean(
        "compression",
        False,
        "Show parameters and file size against those of the dense model: "
        "--dense, or of a pruned run the run's own.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "dense",
        None,
        "A .keras file, a checkpoint's weights (of --arch) or a run folder to "
        "compare the model with; implies --compression.",
        flag_values=flag_values,
    )


def load(values, chosen):
    """The dense model that the flags name.

    Args:
        values: parsed flags.
        chosen: the `model_flags.Chosen` that is compared with it.

    Returns:
        A `model_flags.Chosen`; None where no comparison is asked for.

    Raises:
        UserError: none is named, or it cannot be read.
    """
    if values.dense is None and not values.compression:
        return None
    if values.dense is None:
        if chosen.run is None or chosen.path == chosen.run.path:
            raise UserError(
                "Compression is that of a model against a dense one: give "
                f"--dense. Received: dense=None, model={chosen.path}"
            )
        return _of_run(chosen.run)
    path = pathlib.Path(values.dense)
    if path.is_dir():
        from rrelu_tf.training.run_folder import Run

        return _of_run(Run.open(path))
    if path.suffix in checkpoint_flags.SUFFIXES:
        model = checkpoint_flags.load(values, path)
        return model_flags.Chosen(str(path), path, None, model, {})
    return model_flags.from_file(path)


def _of_run(run):
    return model_flags.Chosen(str(run.path), run.path, run, run.last(), {})
