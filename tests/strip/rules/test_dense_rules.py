"""Dead channels through Dense, EinsumDense and Embedding."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import around, rrelu

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
@pytest.mark.parametrize("activation", [None, "tanh", "sigmoid"])
def test_dense_on_any_rank(shape, activation, finish, check):
    i = keras.Input(shape)
    x = rrelu([1, 0, 2, 0], "p")(layers.Dense(4, name="a")(i))
    x = layers.Dense(5, activation=activation, name="x")(x)
    x = rrelu([0, 1, 0, 1, 1], "q")(x)
    model = finish(i, layers.Dense(2)(x))
    check(model, {"a": 2, "p": 2, "x": 3, "q": 3})


@pytest.mark.parametrize(
    ("equation", "output_shape", "bias_axes", "shape"),
    [
        ("ab,bc->ac", 5, "c", (3,)),
        ("ab,bc->ac", 5, None, (3,)),
        ("abc,cd->abd", (None, 5), "d", (4, 3)),
        ("...x,xy->...y", 5, "y", (4, 3)),
        ("abc,cde->abde", (None, 2, 5), "de", (4, 3)),
        ("abc,cde->abde", (None, 2, 5), "e", (4, 3)),
        ("abc,bcd->abd", (4, 5), "bd", (4, 3)),
        ("abc,bcd->ad", 5, "d", (4, 3)),
    ],
)
def test_einsum_dense_narrows_the_letters_of_its_channels(
    equation, output_shape, bias_axes, shape, finish, check
):
    einsum = layers.EinsumDense(
        equation, output_shape, bias_axes=bias_axes, name="x"
    )
    i = keras.Input(shape)
    x = rrelu([1, 0, 2, 0], "p")(layers.Dense(4, name="a")(i))
    x = einsum(x)
    x = rrelu([0, 1, 0, 1, 1], "q")(x)
    model = finish(i, layers.Dense(2)(x))
    check(model, {"a": 2, "p": 2, "x": 3, "q": 3})


def test_einsum_dense_that_mixes_nothing_scales_its_channels(finish, check):
    einsum = layers.EinsumDense("abc,bc->abc", (4, 4), name="x")
    check(finish(*around(einsum, (4, 3))), {"a": 2, "act": 2, "x": 2})


def test_einsum_dense_loses_whole_heads(finish, check):
    i = keras.Input((3, 4))
    x = layers.EinsumDense("abc,cde->abde", (None, 3, 2), name="x")(i)
    x = layers.EinsumDense("abde,def->abf", (None, 5), name="y")(x)
    model = finish(i, layers.Dense(2)(x))
    kernel = model.get_layer("y").kernel
    kernel.assign(kernel.numpy() * np.reshape([1, 0, 1], (3, 1, 1)))
    small = check(model, {})
    assert small.get_layer("x").kernel.shape == (4, 2, 2)
    assert small.get_layer("y").kernel.shape == (2, 2, 5)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_columns_of_an_embedding(shape, finish, check):
    i = keras.Input(shape, dtype="int32")
    x = rrelu([1, 0, 2, 0])(layers.Embedding(9, 4, name="x")(i))
    model = finish(i, layers.Dense(2)(x))
    small = check(model, {"x": 2, "act": 2})
    assert small.get_layer("x").embeddings.shape == (9, 2)


def test_a_column_of_one_number_is_filled_in(finish, check):
    i = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, name="x")(i)
    model = finish(i, layers.Dense(2)(x))
    table = model.get_layer("x").embeddings
    table.assign(table.numpy() * [1, 0, 1, 0] + [0, 3, 0, 0])
    check(model, {"x": 2})


def test_a_rank_of_lora_holds_the_layer_whole(finish, check):
    i, x = around(layers.Dense(5, name="x"), (3,))
    model = finish(i, x)
    model.get_layer("b").enable_lora(1)
    check(model, {"a": 2, "act": 2, "x": 5, "b": 2})
