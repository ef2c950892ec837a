"""strip on residual streams, Adds and gathers."""

import keras
import numpy as np
import pytest
from keras import layers
from planned import IMAGE, conv, rrelu

from rrelu_tf.layers import BatchNormalization, ChannelGather

pytestmark = pytest.mark.usefixtures("float64")


def residual(finish, first, second):
    """conv -> act -> conv -> norm, plus the stream, then another act."""
    i = keras.Input(IMAGE)
    stream = conv(i, 4, "stem")
    x = rrelu(first, "inner")(conv(stream, 4, "c1"))
    x = BatchNormalization(name="bn")(conv(x, 4, "c2", use_bias=False))
    x = rrelu(second, "outer")(layers.Add(name="add")([x, stream]))
    return finish(i, conv(x, 2, "last"))


def test_the_norms_constants_behind_a_dead_activation_are_filled_in(
    finish, check
):
    model = residual(finish, [0, 0, 0, 0], [1, 1, 0, 1])
    gone = dict.fromkeys(("c1", "inner", "c2", "bn"))
    small = check(model, {**gone, "stem": 3, "outer": 3})
    beta = model.get_layer("bn").beta
    assert np.abs(beta.numpy()).min() > 0
    assert len(small.get_layer("add_gather").fill) == 3


def test_a_dead_branch_goes_and_its_add_with_it(finish, check):
    model = residual(finish, [0, 0, 0, 0], [1, 1, 0, 1])
    norm = model.get_layer("bn")
    for name in ("beta", "moving_mean"):
        getattr(norm, name).assign(np.zeros(4))
    gone = dict.fromkeys(("c1", "inner", "c2", "bn", "add"))
    check(model, {**gone, "stem": 3, "outer": 3})


def test_a_dead_outer_activation_makes_a_constant_model(finish, check):
    model = residual(finish, [1, 1, 1, 1], [0, 0, 0, 0])
    small = check(model, {"stem": 1, "outer": 1, "last": 2})
    assert small.count_params() < 200


def test_the_stream_is_gathered_where_its_readers_differ(finish, check):
    i = keras.Input(IMAGE)
    stream = conv(i, 6, "stem")
    a = rrelu([1, 1, 1, 0, 0, 0], "left")(stream)
    b = rrelu([0, 0, 1, 1, 0, 0], "right")(stream)
    outputs = [conv(a, 2, "l"), conv(b, 2, "r")]
    small = check(
        finish(i, outputs),
        {"stem": 4, "left": 3, "right": 2, "l": 2, "r": 2},
    )
    gathers = {
        x.name: x.indices for x in small.layers if isinstance(x, ChannelGather)
    }
    assert gathers == {"left_gather": [0, 1, 2], "right_gather": [2, 3]}
    assert small.kept["right_gather"] == [2, 3]


def test_readers_of_the_same_set_share_one_gather(finish, check):
    i = keras.Input(IMAGE)
    stream = conv(i, 6, "stem")
    readers = [
        conv(rrelu([1, 0, 1, 0, 0, 0], f"r{n}")(stream), 2, f"c{n}")
        for n in range(3)
    ]
    whole = conv(stream, 2, "whole")
    small = check(finish(i, [*readers, whole]), {"stem": 6, "r1": 2})
    gathers = [x for x in small.layers if isinstance(x, ChannelGather)]
    assert len(gathers) == 1


@pytest.mark.parametrize(
    ("first", "second", "gathers"),
    [
        ([-1, 0, 1, 2, 3, -1], [5, 4, 3, 2, 1, 0], 1),
        ([3, 2, 1, 0], [3, 2, 1, 0], 0),  # undo each other
        ([0, 0, 1, -1], [1, 0, 3, 2], 2),  # a duplicate holds its place
        ([-1, -1], [0, 1], 1),
    ],
)
def test_chains_of_gathers_merge(first, second, gathers, finish, check):
    i = keras.Input(IMAGE)
    x = conv(i, 4, "a")
    x = ChannelGather(first, name="g1")(x)
    x = ChannelGather(second, name="g2")(x)
    model = finish(i, conv(x, 3, "b"))
    small = check(model, {"b": 3})
    found = [x for x in small.layers if isinstance(x, ChannelGather)]
    assert len(found) <= gathers


def test_a_gather_frees_what_it_leaves_out(finish, check):
    i = keras.Input(IMAGE)
    x = ChannelGather([4, -1, 2], name="g")(conv(i, 6, "a"))
    model = finish(i, conv(x, 3, "b"))
    small = check(model, {"a": 2, "b": 3})
    assert small.kept["a"] == [2, 4]


def test_a_gather_that_is_the_output_stays_whole(finish, check):
    i = keras.Input(IMAGE)
    x = ChannelGather([5, -1, 0, 0], name="g")(conv(i, 6, "a"))
    check(finish(i, x), {"a": 2, "g": 4})


def test_an_add_of_one_tensor_twice_and_of_three(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 1, 0, 1])(conv(i, 4, "a"))
    y = rrelu([0, 0, 0, 0], "none")(conv(i, 4, "gone"))
    x = layers.Add(name="add")([x, y, x])
    small = check(
        finish(i, conv(x, 2, "b")),
        {"a": 2, "gone": None, "none": None, "add": 2},
    )
    assert len(small.get_layer("add").input) == 2


def test_gather_names_avoid_those_in_use(finish, check):
    i = keras.Input(IMAGE, name="left_gather")
    stream = conv(i, 4, "stem")
    a = rrelu([1, 1, 0, 0], "left")(stream)
    b = rrelu([0, 0, 1, 1], "right")(stream)
    small = check(finish(i, [conv(a, 1, "l"), conv(b, 1, "r")]), {})
    assert "left_gather_2" in {layer.name for layer in small.layers}


def test_a_gathers_zeros_go_from_what_reads_them(finish, check):
    i = keras.Input(IMAGE)
    x = ChannelGather([0, -1, 1], name="g")(conv(i, 2, "a"))
    model = finish(i, conv(rrelu([1, 1, 1])(x), 2, "b"))
    check(model, {"a": 2, "act": 2, "b": 2})


def test_a_gather_that_makes_an_output_serves_its_other_readers(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([0, 0, 0, 0, 0])(conv(i, 5, "gone"))
    y = ChannelGather([-1, 0, -1, 1, -1], name="g")(conv(i, 2, "a"))
    total = layers.Add(name="add")([x, y])
    model = finish(i, [conv(total, 2, "b"), total])
    check(model, {"gone": None, "add": None, "a": 2, "b": 2})
