"""Random weights, random inputs and the distance of two models."""

import pathlib
import sys

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.layers import BatchNormalization, Rotated, RReLU

# pytest's import mode puts no folder of tests on the path.
sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def float64():
    """The layers of the test are made in float64."""
    keras.config.set_dtype_policy("float64")


@pytest.fixture
def randomise():
    """Gives a model weights and statistics none of which is special."""

    def randomise(model, seed=0, dead=0.0):
        generator = np.random.default_rng(seed)
        for variable in model.variables:
            if not variable.dtype.startswith(("float", "bfloat")):
                continue
            values = generator.uniform(0.4, 1.1, variable.shape)
            if "variance" not in variable.name:
                values *= generator.choice((-1.0, 1.0), variable.shape)
            if variable.name == "kernel":
                values /= np.sqrt(np.prod(variable.shape[:-1]))
            variable.assign(values)
        gone = 0
        for layer in model.layers:
            if isinstance(layer, Rotated):
                alive = generator.random(layer.slope.shape) >= dead
                gone += (~alive).sum()
                layer.slope.assign(layer.slope.numpy() * alive)
        assert bool(gone) == bool(dead)
        return model

    return randomise


def example(tensor, generator, count):
    """Random numbers for an input; small ones where it takes integers."""
    shape = (count, *[size or 7 for size in tensor.shape[1:]])
    if tensor.dtype.startswith("int"):
        return generator.integers(5, size=shape)
    return generator.normal(0, 1.5, shape)


@pytest.fixture
def gap():
    """Largest difference of two models' outputs, relative to the largest."""

    def gap(a, b, seed=0, count=3):
        generator = np.random.default_rng(seed)
        inputs = [example(tensor, generator, count) for tensor in a.inputs]
        outputs = []
        for model in (a, b):
            given = keras.tree.pack_sequence_as(model.input, inputs)
            outputs.append(keras.tree.flatten(model(given, training=False)))
        assert len(outputs[0]) == len(outputs[1])
        worst = 0.0
        for x, y in zip(*outputs, strict=True):
            assert x.shape == y.shape
            assert x.dtype == y.dtype
            x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
            assert np.isfinite(x).all()
            scale = np.abs(x).max() or 1.0
            worst = max(worst, np.abs(x - y).max() / scale)
        return worst

    return gap


@pytest.fixture
def widths():
    """layer name -> number of its output channels."""

    def widths(model):
        return {
            layer.name: layer.output.shape[-1]
            for layer in model.layers
            if not isinstance(layer, keras.layers.InputLayer)
        }

    return widths


def layers_of(model):
    """The model's layers, and those of the models inside."""
    for layer in model.layers:
        yield layer
        yield from layers_of(layer) if hasattr(layer, "layers") else ()


@pytest.fixture
def finish(randomise):
    """The model between two tensors, random but for the slopes planned."""

    def finish(inputs, outputs):
        model = randomise(keras.Model(inputs, outputs))
        for layer in layers_of(model):
            if hasattr(layer, "planned"):
                layer.slope.assign(layer.planned)
        return model

    return finish


@pytest.fixture
def check(gap):
    """strip is equal, as narrow as expected, idempotent, and copies."""

    def check(model, expected):
        before = [np.copy(w) for w in model.get_weights()]
        small = rrelu_tf.strip(model)
        assert gap(model, small) < 1e-12
        found = {
            x.name: keras.tree.flatten(x.output)[0].shape[-1]
            for x in small.layers
        }
        assert {name: found.get(name) for name in expected} == expected
        again = rrelu_tf.strip(small)
        assert [x.name for x in again.layers] == [x.name for x in small.layers]
        assert again.kept == small.kept
        for a, b in zip(
            (*before, *small.get_weights()),
            (*model.get_weights(), *again.get_weights()),
            strict=True,
        ):
            assert np.array_equal(a, b)
        return small

    return check


@pytest.fixture
def wide(randomise):
    """A wide residual network of one block, with dead slopes."""

    def wide(dead=0.4, seed=0):
        def conv(x, name):
            return keras.layers.Conv2D(
                8, 3, padding="same", use_bias=False, name=name
            )(x)

        def active(x, number):
            x = BatchNormalization(name=f"block_bn{number}")(x)
            return RReLU(name=f"block_rrelu{number}")(x)

        images = keras.Input((8, 8, 3), name="images")
        stream = conv(images, "conv1")
        x = conv(active(stream, 1), "block_conv1")
        x = conv(active(x, 2), "block_conv2")
        x = keras.layers.Add(name="block_add")([x, stream])
        x = BatchNormalization(name="bn1")(x)
        x = keras.layers.ReLU(name="relu")(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        logits = keras.layers.Dense(3, name="fc")(x)
        return randomise(keras.Model(images, logits, name="wide"), seed, dead)

    return wide
