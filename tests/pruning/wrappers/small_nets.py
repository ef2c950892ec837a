"""A small net and data for pruning while training."""

import keras
import numpy as np
from keras import layers

import rrelu_tf
from rrelu_tf.layers import RReLU
from rrelu_tf.pruning.schedules import ConstantSparsity, PolynomialDecay

BATCHES = 4  # an epoch's


def data():
    """Images and labels of an epoch."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(8 * BATCHES, 4, 4, 3)).astype("float32")
    return x, generator.integers(0, 3, len(x))


def conv_net():
    """Two convolutions, a norm, a depthwise one, a skip, two dense layers."""
    i = keras.Input((4, 4, 3), name="images")
    x = layers.Conv2D(8, 1, name="first")(i)
    x = layers.BatchNormalization(name="norm")(x)
    skip = x = RReLU(name="relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="project")(x)
    x = layers.Add(name="add")([x, skip])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(i, layers.Dense(3, name="logits")(x), name="net")


def dense_net():
    """Two hidden layers."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 3), name="images"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, activation="relu", name="wide"),
            layers.Dense(8, activation="relu", name="narrow"),
            layers.Dense(3, name="logits"),
        ],
        name="dense_net",
    )


def compiled(model, **options):
    """The model, ready to train with momentum."""
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def fit(model, epochs=1, *callbacks, updating=None, **options):
    """Trains with the callback, in an order that does not change."""
    return model.fit(
        *data(),
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[updating or rrelu_tf.UpdatePruningStep(), *callbacks],
        **options,
    )


def growing(final=0.75, end=2 * BATCHES):
    """A schedule with a turn in every step of two epochs."""
    return PolynomialDecay(0.0, final, 0, end, frequency=1)


def constant(sparsity=0.5, begin=0):
    """A schedule of one sparsity, with a turn in every step."""
    return ConstantSparsity(sparsity, begin, frequency=1)


def masks(model):
    """dict: key -> bool array, True = keep."""
    found = rrelu_tf.pruning.wrappers.bare.wrappers(model)
    return {key: x.kept() for key, x in found.items()}


def alive(model):
    """dict: key -> channels that the masks keep."""
    return {key: int(stays.sum()) for key, stays in masks(model).items()}
