"""The model that a run starts from, when it does not start from scratch."""

import pathlib

import keras

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.export import fitting
from rrelu_tf.layers import Rotated
from rrelu_tf.models import keras_file
from rrelu_tf.rotation import rotate
from rrelu_tf.strip.graph import layers_of

FILE = "start.keras"
_ROTATED = ("rrelu", "rgelu", "rsilu")


def load(path, activation):
    """The model to go on with: a pruned one, or one that is now rotated.

    Args:
        path: a `.keras` file, or the folder of a run: its best epoch.
        activation: of the recipe. With a rotated one a model without slopes is
            rotated, slopes 1, which leaves its function as it is: the variant
            that the RReLU authors call "retrain".

    Returns:
        A `keras.Model`.

    Raises:
        UserError: a file that cannot be read; a model with slopes though the
            activation is a plain one, or without anything to rotate.
    """
    model = _open(path)
    slopes = layers_of(model, Rotated)
    if activation in _ROTATED:
        model = model if slopes else rotate(model)
        _check_kind(model, activation)
        return model
    if slopes:
        raise UserError(
            "A model with slopes needs a rotated --activation. "
            f"Received: activation={activation}"
        )
    return model


def _check_kind(model, activation):
    """Refuses another rotated activation than those that the model has."""
    kinds = layers_of(model, Rotated).values()
    kinds = {type(layer).__name__.lower() for layer in kinds}
    if activation not in kinds:
        raise UserError(
            f"The model to start from has {', '.join(sorted(kinds))}: give "
            f"that as --activation. Received: activation={activation}"
        )


def _open(path):
    try:
        if pathlib.Path(path).is_dir():
            # It imports this module: a run may have started from another.
            from rrelu_tf.training.run_folder import Run

            return Run.open(path).best()
        return keras_file.load(path)
    except UserError as error:
        rule = str(error).replace("Received: model=", "Received: start=")
        rule = rule.replace("Received: run=", "Received: start=")
        raise UserError(rule) from error


def check(model, data):
    """Refuses a model that does not fit the data.

    Raises:
        UserError: other image shapes, another number of classes, outputs that
            are no logits, or layers that compute in float16.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            "The model to start from must have one input and one output. "
            f"Received: start={model.name}"
        )
    fitting.check(model, data.image_shape, data.num_classes)
    half = layers_of(model, keras.layers.Layer)
    half = [k for k, x in half.items() if x.compute_dtype == "float16"]
    if half:
        raise UserError(
            "A model to start from must compute in float32 or bfloat16: its "
            f"loss would need scaling. Received: {half[0]}=float16"
        )


def place(recipe, folder):
    """Where the model lies: in the run's folder once the run has begun.

    Returns:
        A `pathlib.Path`; None for a run that starts from scratch.
    """
    if not recipe.start:
        return None
    kept = pathlib.Path(folder) / FILE
    return kept if kept.is_file() else pathlib.Path(recipe.start)


def keep(recipe, folder):
    """Copies the model into a run's folder, so that the run needs no other."""
    source = place(recipe, folder)
    if source is None or source == folder / FILE:
        return
    if source.is_dir():
        keras_file.save(_open(source), folder / FILE)
    else:
        atomic.write_bytes(folder / FILE, source.read_bytes())
