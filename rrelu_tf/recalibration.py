"""recalibrate: batch normalisations get statistics of the net as it is now."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.layers import BatchNormalization
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import layers_of

_STOCK = keras.layers.BatchNormalization
_BATCH = 128  # images in a batch that is cut from an array


def recalibrate(model, data, *, batches=None):
    """A model whose moving statistics are those of the data.

    Pruning changes what batch normalisations see, while their moving means and
    variances stay those of the whole net. Here the data go through the model
    in training mode, each batch normalised by its own statistics, and the
    moving ones become the mean and the variance of all values that a layer
    saw: of the batches together, not a moving average of them. Weights stay as
    they are, and so do layers that are not trainable, or see masked batches.

    Source: the adaptive batch normalisation of EagleEye (Li et al., ECCV
    2020, section 3.3), whose moving average depends on the last batches most.

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is.
        data: training images, without augmentation best: a `tf.data.Dataset`
            of (images, ...) or images batches, an array `(images, ...)`, or a
            tuple with that first.
        batches: int, the most batches that are used; None: all.

    Returns:
        A new model. `rrelu_tf.layers.BatchNormalization` gets the unbiased
        variance, as in training; Keras's own the biased one.

    Raises:
        UserError: no batch normalisation that could move, no data.
    """
    if batches is not None and batches < 1:
        raise UserError(
            f"batches must be at least 1. Received: batches={batches}"
        )
    measured = copy(model, _measuring)
    moments = {
        key: layer.moments
        for key, layer in layers_of(measured, _Measured).items()
    }
    if not moments:
        raise UserError(
            "Recalibration needs batch normalisations that are trainable. "
            f"Received: model={model.name}"
        )
    for images in itertools.islice(_images(data), batches):
        measured(images, training=True)
    renewed = copy(model)
    layers = layers_of(renewed, _STOCK)
    for key, found in moments.items():
        found.write(layers[key])
    return renewed


class _Moments:
    """Count, mean and variance of all values so far, per channel."""

    def __init__(self):
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.masked = False

    def add(self, values):
        """Adds values, (many, channels). Source: Chan et al., 1979."""
        mean, count = values.mean(0), self.count + len(values)
        apart = mean - self.mean
        share = self.count * len(values) / count
        self.squares = self.squares + ((values - mean) ** 2).sum(0)
        self.squares = self.squares + share * apart**2
        self.mean = self.mean + apart * (len(values) / count)
        self.count = count

    def write(self, layer):
        """Makes them a layer's moving statistics."""
        if self.masked:
            return
        if not self.count:
            raise UserError(
                "Recalibration needs at least one image. Received: images=0"
            )
        ours = isinstance(layer, BatchNormalization) and not layer.renorm
        layer.moving_mean.assign(self.mean)
        layer.moving_variance.assign(self.squares / max(self.count - ours, 1))


class _Measured(_STOCK):
    """What a batch normalisation is while it is measured."""

    def call(self, inputs, training=None, mask=None):
        if tf.executing_eagerly():  # not while the layer is built
            self.moments.masked |= mask is not None
            values = np.asarray(keras.ops.cast(inputs, "float64"))
            values = np.moveaxis(values, self.axis, -1)
            self.moments.add(values.reshape(-1, values.shape[-1]))
        return super().call(inputs, training=training, mask=mask)


def _measuring(layer):
    """A layer's unbuilt copy, which keeps the moments of what it sees."""
    made = clone(layer)
    if isinstance(layer, _STOCK) and layer.trainable:
        kind = type(layer)
        made.__class__ = type(kind.__name__, (_Measured, kind), {})
        made.moments = _Moments()
    return made


def _images(data):
    """Batches of images."""
    if isinstance(data, tf.data.Dataset):
        for batch in data:
            yield batch[0] if isinstance(batch, tuple) else batch
        return
    images = np.asarray(data[0] if isinstance(data, (tuple, list)) else data)
    for start in range(0, len(images), _BATCH):
        yield tf.convert_to_tensor(images[start : start + _BATCH])
