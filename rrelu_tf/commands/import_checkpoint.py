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
from rrelu_tf.commands import entry, quiet
from rrelu_tf.errors import UserError

FLAGS = flags.FlagValues()

flags.DEFINE_string(
    "checkpoint",
    None,
    "A .th, .pth or .pt file with a state dict, or an .npz file that this "
    "command wrote.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "arch", None, "Architecture, as for bin/train.", flag_values=FLAGS
)
flags.DEFINE_string(
    "activation",
    "rrelu",
    "relu, gelu, silu, or the rotated rrelu, rgelu, rsilu.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "num_classes",
    None,
    "Width of the logits; default: the outputs of the checkpoint's last "
    "linear layer.",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "input_shape",
    ["32", "32", "3"],
    "Height, width and channels of the images.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out", None, "The .keras or .npz file to write.", flag_values=FLAGS
)

_KINDS = (".keras", ".npz")


def main(argv=None):
    """Runs the command; returns its exit code."""
    return entry.run(FLAGS, _call, argv)


def _call(values):
    input_shape = _check(values)
    quiet.import_tensorflow()
    from rrelu_tf import models
    from rrelu_tf.models import torch_checkpoint

    if pathlib.Path(values.checkpoint).suffix == ".npz":
        arrays = models.seed_weights.read(values.checkpoint)
    else:
        arrays = torch_checkpoint.read(values.checkpoint)
    num_classes = values.num_classes
    if num_classes is None:
        num_classes = torch_checkpoint.num_classes(arrays, values.checkpoint)
    model = models.create(
        values.arch,
        num_classes=num_classes,
        input_shape=input_shape,
        activation=values.activation,
    )
    torch_checkpoint.load(model, arrays, values.checkpoint)
    _write(model, pathlib.Path(values.out))
    print(
        f"imported {values.checkpoint}\n"
        f"as       {values.arch}, {values.activation}, {num_classes} classes, "
        f"{model.count_params():,} parameters\n"
        f"to       {values.out}"
    )


def _check(values):
    """The images' shape, once the flags are all right."""
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
    try:
        return tuple(int(size) for size in values.input_shape)
    except ValueError as error:
        raise UserError(
            "input_shape must be whole numbers between commas. "
            f"Received: input_shape={','.join(values.input_shape)}"
        ) from error


def _write(model, out):
    from rrelu_tf.models import keras_file, seed_weights

    if out.suffix == ".npz":
        with atomic.path(out) as temporary, temporary.open("wb") as file:
            seed_weights.save_seed_weights(model, file)
    else:
        keras_file.save(model, out)
