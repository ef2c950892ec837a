"""A trained net that rounds begin with in place of one trained here."""

import pathlib

from rrelu_tf.errors import UserError
from rrelu_tf.models import keras_file
from rrelu_tf.rounds.base import Base
from rrelu_tf.strip import NotEquivalent, verify
from rrelu_tf.strip.stripped import Stripped
from rrelu_tf.training import building, origin
from rrelu_tf.training.run_folder import Run


def load(path, recipe, data, which):
    """The `Base` that a `.keras` file, or a run's folder, holds.

    Args:
        path: of the file or folder.
        recipe: the `Recipe` whose architecture it must have, and by which it
            is retrained.
        data: the `rrelu_tf.data.Data`.
        which: "last" or "best", of a run's epochs.

    Raises:
        UserError: if it cannot be read, is pruned already, or is of another
            architecture: with equal weights the recipe's must compute the same.
    """
    try:
        model = _open(pathlib.Path(path), which)
    except UserError as error:
        rule = str(error).partition(" Received: ")[0]
        raise UserError(f"{rule} Received: pretrained={path}") from error
    wrong = _wrong(model, recipe, data)
    if wrong:
        raise UserError(
            f"A pretrained model must be of the architecture {recipe.arch} "
            f"with {recipe.activation}, for {data.num_classes} classes, and "
            f"what is given {wrong}. Received: pretrained={path}"
        )
    known = origin.of(path)
    known = known if {"dense", "flags"} & set(known) else {}
    return Base(model, recipe, known, {"pretrained": str(path)})


def _open(path, which):
    if not path.is_dir():
        return keras_file.load(path)
    run = Run.open(path)
    return run.last() if which == "last" else run.best()


def _wrong(model, recipe, data):
    """What tells a model from the recipe's; None where nothing does."""
    wanted = building.create_model(recipe, data.num_classes, data.image_shape)
    if isinstance(model, Stripped):
        return "is pruned already"
    if _shapes(model) != _shapes(wanted):
        return "has other weights"
    # The same weights may be of other activations, strides or order.
    wanted.set_weights(model.get_weights())
    try:
        verify(wanted, model)
    except NotEquivalent:
        return "computes something else with its weights"
    return None


def _shapes(model):
    return [(w.path.split("/")[-1], tuple(w.shape)) for w in model.weights]
