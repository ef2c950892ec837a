"""Whether a model fits the images and classes that it is to be used on."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2


def check(model, image_shape, class_count):
    """Checks that a model is a classifier of such images.

    Args:
        model: a `keras.Model`.
        image_shape: (height, width, channels) of the normalised images.
        class_count: int.

    Raises:
        UserError: unless it maps one batch of such images to logits
            `(batch, class_count)`; a model of tf_keras.
    """
    check_ends(model)
    taken = tuple(model.inputs[0].shape[1:])
    fits = len(taken) == len(image_shape) and all(
        size in (None, wanted)
        for size, wanted in zip(taken, image_shape, strict=True)
    )
    if not fits:
        raise UserError(
            f"The model takes inputs of shape {_text(taken)}; the images have "
            f"another. Received: image_shape={_text(image_shape)}"
        )
    given = tuple(model.outputs[0].shape[1:])
    if given != (class_count,):
        raise UserError(
            f"The model gives outputs of shape {_text(given)}; it must give "
            f"one logit per class. Received: classes={class_count}"
        )
    if _ends_in_softmax(model):
        raise UserError(
            "The model must give logits, but its last layer is a softmax. "
            f"Received: layer={model.layers[-1].name}"
        )


def check_ends(model):
    """Checks that a model has one input and one output.

    Raises:
        UserError: unless it does; a model without a graph, or of tf_keras.
    """
    keras_2.refuse(model)
    if not (isinstance(model, keras.Model) and getattr(model, "inputs", None)):
        raise UserError(
            "The model must be a functional or built Sequential keras.Model. "
            f"Received: model={type(model).__name__}"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            "The model must have one input and one output. Received: "
            f"inputs={len(model.inputs)}, outputs={len(model.outputs)}"
        )


def _ends_in_softmax(model):
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or (
        activation is keras.activations.softmax
    )


def _text(shape):
    return " x ".join("any" if size is None else str(size) for size in shape)
