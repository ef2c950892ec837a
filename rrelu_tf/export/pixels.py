"""A model of raw pixels in stock layers, for other programs' formats."""

import keras

from rrelu_tf.export.fold import fold


def from_pixels(model, preprocessing):
    """The model with its normalisation inside, folded.

    Args:
        model: a `keras.Model` from normalised images to logits.
        preprocessing: a `rrelu_tf.data.Preprocessing`. Its resizing is left to
            the caller: these formats' runtimes resize each in its own way.

    Returns:
        A functional `keras.Model` of `images`, float32 `(batch,
        *image_shape)` of values 0..255, to a dict with `logits`, float32
        `(batch, classes)`; made of stock Keras layers.

    Raises:
        UserError: as `rrelu_tf.fold` does.
    """
    spread = zip(preprocessing.mean, preprocessing.std, strict=True)
    images = keras.Input(preprocessing.image_shape, name="images")
    normalized = keras.layers.Rescaling(
        [1 / (255 * std) for std in preprocessing.std],
        offset=[-mean / std for mean, std in spread],
        dtype="float32",
    )(images)
    logits = fold(model)(normalized)
    logits = keras.layers.Activation("linear", dtype="float32")(logits)
    return keras.Model(images, {"logits": logits}, name=model.name)
