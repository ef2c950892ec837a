"""Pieces of small test models: images, convs, activations with dead slopes."""

import keras
from keras import layers

from rrelu_tf.layers import RReLU

IMAGE = (6, 5, 3)


def conv(x, filters, name, **options):
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)(x)


def rrelu(slopes, name="act"):
    """An RReLU that has these slopes once `finish` made its model."""
    layer = RReLU(name=name)
    layer.planned = slopes
    return layer


def around(layer, shape=IMAGE, slopes=(1, 0, 2, 0)):
    """(input, output) of Dense `a`, RReLU `act`, the layer, Dense `b`."""
    i = keras.Input(shape)
    x = layers.Dense(len(slopes), name="a")(i)
    x = layer(rrelu(slopes)(x))
    return i, layers.Dense(2, name="b")(x)
