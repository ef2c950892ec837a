"""The flags that say what net a checkpoint's weights are for."""

import pathlib

from absl import flags

from rrelu_tf.errors import UserError

SUFFIXES = (".npz", ".th", ".pth", ".pt")


def define(flag_values):
    """Adds the flags to a command's `FlagValues`."""
    flags.DEFINE_string(
        "arch", None, "Architecture, as for bin/train.", flag_values=flag_values
    )
    flags.DEFINE_string(
        "activation",
        "rrelu",
        "relu, gelu, silu, or the rotated rrelu, rgelu, rsilu.",
        flag_values=flag_values,
    )
    flags.DEFINE_integer(
        "num_classes",
        None,
        "Width of the logits; default: the outputs of the checkpoint's last "
        "linear layer.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "input_shape",
        ["32", "32", "3"],
        "Height, width and channels of the images.",
        flag_values=flag_values,
    )


def input_shape(values):
    """The images' shape, a tuple of ints.

    Raises:
        UserError: if it is something else.
    """
    try:
        return tuple(int(size) for size in values.input_shape)
    except ValueError as error:
        raise UserError(
            "input_shape must be whole numbers between commas. "
            f"Received: input_shape={','.join(values.input_shape)}"
        ) from error


def check(values, *paths):
    """Refuses the flags where none of the paths is a checkpoint's.

    Raises:
        UserError: naming the first such flag.
    """
    if any(pathlib.PurePath(path or "").suffix in SUFFIXES for path in paths):
        return
    for name in ("arch", "activation", "num_classes", "input_shape"):
        if values[name].present:
            raise UserError(
                f"{name} is for a checkpoint's weights, a "
                f"{', '.join(SUFFIXES)} file. "
                f"Received: {name}={values[name].value}"
            )


def load(values, path):
    """The model of a checkpoint; narrower than the net if that was pruned.

    Args:
        values: parsed flags.
        path: of one of `SUFFIXES`; .npz is what bin/import_checkpoint writes.

    Returns:
        A `keras.Model`.

    Raises:
        UserError: no architecture, or a file that cannot be read or is not of
            such a net.
    """
    from rrelu_tf import models
    from rrelu_tf.models import torch_checkpoint
    from rrelu_tf.pruning.narrowing import narrow

    if not values.arch:
        raise UserError(
            "Weights of a checkpoint need the net that they are for: give "
            f"--arch. Received: arch={values.arch}"
        )
    shape = input_shape(values)
    path = pathlib.Path(path)
    if path.suffix not in SUFFIXES or not path.is_file():
        raise UserError(
            f"A checkpoint must be a {', '.join(SUFFIXES)} file that exists. "
            f"Received: checkpoint={path}"
        )
    if path.suffix == ".npz":
        arrays = models.seed_weights.read(path)
    else:
        arrays = torch_checkpoint.read(path)
    num_classes = values.num_classes
    if num_classes is None:
        num_classes = torch_checkpoint.num_classes(arrays, path)
    model = models.create(
        values.arch,
        num_classes=num_classes,
        input_shape=shape,
        activation=values.activation,
    )
    widths = models.seed_weights.narrower(model, arrays, f"checkpoint={path}")
    if widths:
        model = narrow(model, widths)
    return torch_checkpoint.load(model, arrays, path)
