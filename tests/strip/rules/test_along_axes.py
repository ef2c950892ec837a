"""Dead channels past softmax, means and sums along other axes than theirs."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from planned import IMAGE, around, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import ChannelGather

pytestmark = pytest.mark.usefixtures("float64")

REDUCTIONS = {
    "mean": ops.mean,
    "max": ops.max,
    "min": ops.min,
    "amax": ops.amax,
    "amin": ops.amin,
    "sum": ops.sum,
    "prod": ops.prod,
    "std": ops.std,
    "var": ops.var,
    "logsumexp": ops.logsumexp,
}
CONSTANT = {"mean", "max", "min", "amax", "amin"}  # of a constant: itself


def width(model, name):
    """Of the operation or layer of this name."""
    found = [x for x in model.operations if x.name.startswith(name)]
    (made,) = (x for x in found if not isinstance(x, ChannelGather))
    return made.output.shape[-1]


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axis", [(1, 2), 1, -2])
def test_reductions_over_space_let_dead_channels_through(
    axis, keepdims, finish, check
):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    outputs = [
        layers.Dense(2, name=f"b_{name}")(
            reduce(x, axis=axis, keepdims=keepdims)
        )
        for name, reduce in REDUCTIONS.items()
    ]
    small = check(finish(i, outputs), {"a": 2, "act": 2})
    for name in REDUCTIONS:
        wide = name == "logsumexp"  # the log of how many there are
        kernel = small.get_layer(f"b_{name}").kernel
        assert kernel.shape == (4 if wide else 2, 2)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_numbers_that_are_the_same_everywhere(name, finish, check):
    def reduce(x):
        return REDUCTIONS[name](ops.sigmoid(x), axis=(1, 2))

    small = check(finish(*around(reduce)), {"a": 2, "act": 2})
    assert width(small, name) == (2 if name in CONSTANT else 4)


def test_readers_of_a_mean_need_only_its_channels(finish, check):
    i = keras.Input(IMAGE)
    x = ops.mean(conv(i, 4, "a"), axis=(1, 2))
    check(finish(i, layers.Dense(2)(rrelu([1, 0, 0, 1])(x))), {"a": 2})


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axis", [-1, 3, (1, 3), (1, 2, 3)])
def test_a_reduction_over_channels_is_a_barrier(axis, keepdims, finish, check):
    def reduce(x):
        x = ops.mean(x, axis=axis, keepdims=keepdims)
        return x if len(x.shape) > 1 else x[:, None]

    check(finish(*around(reduce)), {"a": 2, "act": 2})


def test_a_reduction_over_everything_is_opaque(finish, check):
    def spread(x):
        return x + ops.mean(x)

    check(finish(*around(spread)), {"a": 2, "act": 2})


SOFTMAXES = [
    lambda axis: layers.Softmax(axis, name="softmax"),
    lambda axis: lambda x: ops.softmax(x, axis=axis),
    lambda axis: lambda x: ops.log_softmax(x, axis=axis),
]


@pytest.mark.parametrize("axis", [1, 2, -2])
@pytest.mark.parametrize("softmax", SOFTMAXES)
def test_softmax_along_another_axis_lets_channels_through(
    softmax, axis, finish, check
):
    small = check(finish(*around(softmax(axis))), {"a": 2, "act": 2})
    name = next(x.name for x in small.operations if "softmax" in x.name)
    assert width(small, name) == 2  # 1 / n is filled in


def test_softmax_over_several_axes(finish, check):
    layer = layers.Softmax((1, 2), name="x")
    check(finish(*around(layer)), {"a": 2, "act": 2, "x": 2})


def test_sparsemax_of_steps(finish, check):
    operation = lambda x: ops.sparsemax(x, axis=-1)  # noqa: E731
    i, x = around(
        lambda x: ops.swapaxes(operation(ops.swapaxes(x, 1, 2)), 1, 2), (5, 3)
    )
    check(finish(i, x), {"a": 2, "act": 2, "b": 2})


def test_what_nothing_reads_behind_a_softmax_goes(finish, check):
    i = keras.Input((5, 3))
    x = layers.Softmax(1, name="x")(layers.Dense(4, name="a")(i))
    x = layers.Dense(2)(rrelu([1, 0, 0, 1])(x))
    check(finish(i, x), {"a": 2, "x": 2})


@pytest.mark.parametrize("softmax", [*SOFTMAXES, lambda axis: ops.sparsemax])
def test_softmax_over_channels_is_a_barrier(softmax, finish, check):
    small = check(finish(*around(softmax(-1))), {"a": 2, "act": 2})
    assert small.get_layer("b").kernel.shape == (4, 2)


def test_a_row_that_is_known_only_in_part_is_computed(finish, check):
    """Zeros padded to steps that depend on the input."""
    i = keras.Input((5, 3))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = ops.softmax(ops.pad(x, [(0, 0), (0, 2), (0, 0)]), axis=1)
    check(finish(i, layers.Dense(2, name="b")(x)), {"a": 2, "act": 2})


def test_softmax_of_steps_of_no_known_number(finish, gap):
    i = keras.Input((None, 3))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = layers.Dense(2, name="b")(layers.Softmax(1, name="x")(x))
    model = finish(i, x)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    assert small.get_layer("a").units == 2


def test_explain_names_the_barrier_only_where_there_is_one(finish):
    i, x = around(lambda x: ops.softmax(x, axis=1), (5, 3), (1, 1, 1, 1))
    y = layers.Dense(2, name="c")(layers.Softmax(name="barrier")(x))
    text = rrelu_tf.explain(finish(i, y))
    assert "barrier (Softmax): softmax shares its sum over channels" in text
    assert text.count("softmax shares") == 1


def test_masked_softmax_is_opaque(finish, check):
    i, m = keras.Input((5, 3)), keras.Input((5, 4), dtype="float64")
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = layers.Softmax(1, name="x")(x, ops.sigmoid(m))
    model = finish([i, m], layers.Dense(2)(x))
    assert np.prod(check(model, {"a": 2, "x": 4}).output.shape[1:]) == 10
