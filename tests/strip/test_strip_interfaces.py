"""strip on models of several inputs, outputs and types."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import IMAGE, conv, rrelu

import rrelu_tf

pytestmark = pytest.mark.usefixtures("float64")


def test_outputs_keep_their_width_even_where_they_are_zero(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 1, 0, 1])(conv(i, 4, "a"))
    small = check(finish(i, x), {"act": 4})
    assert small.output_shape == (None, 6, 5, 4)


def test_an_output_that_others_read_is_whole_for_itself_only(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 1, 0, 1])(conv(i, 4, "a"))
    model = finish(i, [x, conv(x, 2, "b"), x, i])
    check(model, {"a": 4, "act": 4, "b": 2})


def test_several_inputs_and_outputs_keep_their_structure(finish, check):
    a, b = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    x = rrelu([1, 0, 1, 0], "left")(layers.Dense(4, name="da")(a))
    y = rrelu([0, 0, 1, 1], "right")(layers.Dense(4, name="db")(b))
    s = layers.Add(name="sum")([x, y])
    outputs = {
        "logits": layers.Dense(3, name="head")(s),
        "parts": [layers.Dense(2, name="part")(x), b],
    }
    model = finish({"b": b, "a": a}, outputs)
    small = check(model, {"da": 2, "db": 2, "sum": 3, "head": 3})
    given = {"a": np.ones((2, 4)), "b": np.ones((2, 5))}
    results = small(given)
    assert set(results) == {"logits", "parts"}
    assert isinstance(results["parts"], list)
    assert [x.name for x in small.inputs] == [x.name for x in model.inputs]


def test_an_embedding_and_integer_inputs(finish):
    i = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, name="table")(i)
    x = rrelu([1, 0, 1, 0, 1])(layers.Dense(5, name="a")(x))
    model = finish(i, layers.Dense(2, name="b")(x))
    small = rrelu_tf.strip(model)
    tokens = np.random.default_rng(0).integers(9, size=(3, 5))
    np.testing.assert_allclose(small(tokens), model(tokens), rtol=1e-12)
    assert small.get_layer("a").units == 3
    assert rrelu_tf.verify(model, small).dtype == "float64"


def test_an_input_that_nothing_reads_stays(finish, check):
    i, unread = keras.Input((4,)), keras.Input((2,))
    x = rrelu([1, 0, 1])(layers.Dense(3, name="a")(i))
    model = finish([i, unread], layers.Dense(2)(x))
    small = check(model, {"a": 2})
    assert len(small.inputs) == 2


def test_a_layer_called_by_keyword(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 0])(conv(i, 4, "a"))
    y = rrelu([0, 0, 0, 0], "none")(conv(i, 4, "gone"))
    x = layers.Add(name="add")(inputs=[x, y])
    x = layers.Conv2D(2, 1, name="b")(inputs=x)
    check(finish(i, x), {"a": 2, "add": None, "gone": None})
