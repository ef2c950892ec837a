"""Turns a PyTorch checkpoint of the papers' authors into a model.

    bin/import_checkpoint --checkpoint=checkpoint_best.th --arch=resnet20 \\
        --activation=rrelu --out=resnet20.keras

writes a .keras file, which every command here takes as --model, or the weights
alone as .npz arrays under their PyTorch names (`w/<name>`). Nothing in the
checkpoint is run. Needs PyTorch: pip install 'rrelu_tf[torch]'. Exit codes: 0
done; 2 a mistake in what was given.
"""

import pathlib

from absl import flags

from rrelu_tf import atomic
from rrelu_tf.commands import checkpoint_flags, entry, quiet
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

flags.DEFINE_string(
    "checkpoint",
    None,
    "A .th, .pth or .pt file with a state dict, or an .npz file that this "
    "command wrote.",
    flag_values=FLAGS,
)
checkpoint_flags.define(FLAGS)
flags.DEFINE_string(
    "out", None, "The .keras or .npz file to write.", flag_values=FLAGS
)

_KINDS = (".keras", ".npz")


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    _check(values)
    quiet.import_tensorflow()
    model = checkpoint_flags.load(values, values.checkpoint)
    _write(model, pathlib.Path(values.out))
    print(
        f"imported {values.checkpoint}\n"
        f"as       {values.arch}, {values.activation}, "
        f"{model.output_shape[-1]} classes, {model.count_params():,} "
        "parameters\n"
        f"to       {values.out}"
    )


def _check(values):
    for name in ("checkpoint", "arch", "out"):
        if not values[name].value:
            raise UserError(
                "--checkpoint, --arch and --out must be given. "
                f"Received: {name}={values[name].value}"
            )
    if pathlib.Path(values.out).suffix not in _KINDS:
        raise UserError(
            f"out must be a {' or '.join(_KINDS)} file. "
            f"Received: out={values.out}"
        )
    checkpoint_flags.input_shape(values)


def _write(model, out):
    from rrelu_tf.models import keras_file, seed_weights

    atomic.make_folder(out.parent, "out")
    if out.suffix == ".npz":
        with atomic.path(out) as temporary, temporary.open("wb") as file:
            seed_weights.save_seed_weights(model, file)
    else:
        keras_file.save(model, out)
