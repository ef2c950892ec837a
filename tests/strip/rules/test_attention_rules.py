"""Attention loses heads, value features, and inputs; never queries' width."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import rrelu

import rrelu_tf

pytestmark = pytest.mark.usefixtures("float64")


def sequence(name, slopes=(1, 0, 2, 0), steps=5):
    i = keras.Input((steps, 3))
    return i, rrelu(slopes, f"{name}_act")(layers.Dense(4, name=name)(i))


def silence(layer, keep):
    """Zeroes output kernel entries; keep is (heads, values)."""
    kernel = layer._output_dense.kernel
    kernel.assign(kernel.numpy() * np.asarray(keep)[:, :, None])


def attention(**options):
    return layers.MultiHeadAttention(3, 2, name="x", **options)


@pytest.mark.parametrize("use_bias", [True, False])
def test_dead_inputs_of_self_attention_go(use_bias, finish, check):
    i, x = sequence("a")
    x = attention(use_bias=use_bias)(x, x)
    x = rrelu([1, 0, 1, 1])(x)
    model = finish(i, layers.Dense(2)(x))
    check(model, {"a": 2, "a_act": 2, "x": 3, "act": 3})


def test_a_head_that_adds_nothing_goes(finish, check):
    i, x = sequence("a")
    model = finish(i, layers.Dense(2)(attention()(x, x)))
    silence(model.get_layer("x"), [[1, 1], [0, 0], [1, 1]])
    small = check(model, {"a": 2})
    assert small.get_layer("x").num_heads == 2


def test_values_that_nothing_reads_go(finish, check):
    i, x = sequence("a")
    model = finish(i, layers.Dense(2)(attention(value_dim=3)(x, x)))
    silence(model.get_layer("x"), [[1, 0, 1], [0, 1, 0], [1, 0, 0]])
    small = check(model, {"a": 2})
    assert small.get_layer("x").get_config()["value_dim"] == 2
    assert small.get_layer("x").key_dim == 2


def test_cross_attention_narrows_each_of_its_three_inputs(finish, check):
    i, q = sequence("q", (1, 0, 0, 0))
    j, v = sequence("v", (1, 1, 0, 0), steps=6)
    h, k = sequence("k", (1, 1, 1, 0), steps=6)
    x = attention(output_shape=5)(q, v, k)
    model = finish([i, j, h], layers.Dense(2)(x))
    check(model, {"q": 1, "v": 2, "k": 3, "x": 5})


def test_cross_attention_by_keywords(finish, check):
    i, q = sequence("q", (1, 0, 0, 0))
    j, v = sequence("v", (1, 1, 0, 0), steps=6)
    x = attention()(query=q, value=v)
    check(finish([i, j], layers.Dense(2)(x)), {"q": 1, "v": 2})


@pytest.mark.parametrize("use_bias", [True, False])
def test_grouped_queries_lose_heads_equally_many_for_each_key(
    use_bias, finish, check
):
    i, x = sequence("a")
    x = layers.GroupQueryAttention(2, 4, 2, use_bias=use_bias, name="x")(x, x)
    model = finish(i, layers.Dense(2)(x))
    silence(model.get_layer("x"), [[1, 1], [0, 0], [1, 1], [0, 0]])
    small = check(model, {"a": 2, "x": 4})
    assert small.get_layer("x").num_query_heads == 2
    assert small.get_layer("x").num_key_value_heads == 2


def test_a_key_head_goes_with_all_its_queries(finish, check):
    i, x = sequence("a")
    x = layers.GroupQueryAttention(2, 4, 2, name="x")(x, x)
    model = finish(i, layers.Dense(2)(x))
    silence(model.get_layer("x"), [[1, 1], [1, 1], [0, 0], [0, 0]])
    small = check(model, {"x": 4})
    assert small.get_layer("x").num_key_value_heads == 1


def test_keys_of_their_own_get_narrower(finish, check):
    i, q = sequence("q", (1, 0, 0, 0))
    j, v = sequence("v", (1, 1, 0, 0), steps=6)
    h, k = sequence("k", (1, 0, 1, 1), steps=6)
    x = layers.GroupQueryAttention(2, 4, 2, name="x")(q, v, key=k)
    model = finish([i, j, h], layers.Dense(2)(x))
    layer = model.get_layer("x")
    silence(layer, [[1, 1], [1, 1], [0, 0], [0, 0]])
    kernel = layer._key_dense.kernel
    kernel.assign(kernel.numpy() * np.reshape([1, 1, 1, 0], (4, 1, 1)))
    small = check(model, {"q": 1, "v": 2, "k": 2, "x": 4})
    assert small.get_layer("x")._key_dense.kernel.shape == (2, 1, 2)


def test_explain_says_why_grouped_queries_keep_their_width(finish):
    i, x = sequence("a", (1, 1, 1, 1))
    x = layers.GroupQueryAttention(2, 4, 2, name="x")(x, x)
    text = rrelu_tf.explain(finish(i, layers.Dense(2)(x)))
    assert "queries, values and outputs must be equally wide" in text


@pytest.mark.parametrize(
    "order", [("query", "key", "value"), ("value", "query"), ("key",)]
)
def test_inputs_by_keyword_keep_their_roles(order, finish, check):
    slopes = {"query": (1, 0, 0, 0), "key": (1, 1, 0, 0), "value": (1, 1, 1, 0)}
    i = keras.Input((5, 3))
    made = {
        name: rrelu(slopes[name], f"{name}_act")(
            layers.Dense(4, name=f"{name}_in")(i)
        )
        for name in slopes
    }
    given = {name: made[name] for name in order}
    rest = [made[name] for name in ("query", "value") if name not in order]
    x = attention()(*rest, **given)
    used = {*order, "query", "value"}
    expected = {f"{name}_in": sum(slopes[name]) for name in used}
    check(finish(i, layers.Dense(2)(x)), expected)
