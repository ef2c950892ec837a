"""Dead channels through merges: what a zero does to the other operand."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from planned import IMAGE, conv, rrelu

pytestmark = pytest.mark.usefixtures("float64")


def two(i, x=(1, 0, 2, 0), y=(1, 1, 0, 0)):
    """Two tensors of four channels each, with these slopes."""
    return [
        rrelu(x, "x")(layers.Dense(4, name="a")(i)),
        rrelu(y, "y")(layers.Dense(4, name="b")(i)),
    ]


@pytest.mark.parametrize(
    ("kind", "widths"),
    [
        (layers.Add, (3, 2, 2)),
        (layers.Subtract, (3, 2, 2)),
        (layers.Average, (3, 2, 2)),
        (layers.Maximum, (3, 2, 2)),
        (layers.Minimum, (3, 2, 2)),
        (layers.Multiply, (1, 1, 1)),  # where one is 0 the other is not read
    ],
)
@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_a_merge_is_as_wide_as_what_is_not_constant(
    kind, widths, shape, finish, check
):
    i = keras.Input(shape)
    model = finish(i, layers.Dense(2)(kind(name="merge")(two(i))))
    check(model, dict(zip(("merge", "x", "y"), widths, strict=True)))


@pytest.mark.parametrize(
    ("operation", "widths"),
    [
        (ops.add, (2, 2)),
        (ops.subtract, (2, 2)),
        (ops.maximum, (2, 2)),
        (ops.minimum, (2, 2)),
        (ops.multiply, (1, 1)),
    ],
)
def test_operations_of_two_tensors(operation, widths, finish, check):
    i = keras.Input((4, 3))
    model = finish(i, layers.Dense(2)(operation(*two(i))))
    check(model, dict(zip(("a", "b"), widths, strict=True)))


def test_a_quotient_of_two_tensors(finish, check):
    i = keras.Input((4, 3))
    x, y = two(i, y=(1, 1, 1, 1))
    x = ops.divide(x, ops.add(ops.abs(y), 1.0))
    check(finish(i, layers.Dense(2)(x)), {"a": 2, "b": 4})


@pytest.mark.parametrize(
    "operation",
    [ops.add, ops.subtract, ops.multiply, ops.maximum, ops.minimum],
)
def test_operations_with_arrays_on_either_side(operation, finish, check):
    i = keras.Input((5, 3))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    outputs, expected = [], {"a": 2, "act": 2}
    for shape in [(4,), (1, 4), (1, 1, 1), ()]:
        array = np.random.default_rng(0).normal(size=shape)
        for made in (operation(x, array), operation(array, x)):
            name = f"r{len(outputs)}"
            outputs.append(layers.Dense(2)(rrelu([1, 1, 1, 1], name)(made)))
            expected[name] = 2
    check(finish(i, outputs), expected)


def test_a_factor_of_zero_in_an_array_is_a_dead_channel(finish, check):
    i = keras.Input((5, 3))
    x = layers.Dense(4, name="a")(i) * np.array([1.0, 0.0, 0.0, 2.0])
    check(finish(i, layers.Dense(2)(x)), {"a": 2})


@pytest.mark.parametrize("kind", [layers.Add, layers.Maximum, layers.Subtract])
@pytest.mark.parametrize("shape", [(1, 1, 4), (6, 5, 1), (6, 1, 4)])
def test_broadcasting_merges_narrow_what_is_spread(kind, shape, finish, check):
    i, j = keras.Input(IMAGE), keras.Input((*shape[:-1], 3))
    x = rrelu([1, 0, 1, 0], "x")(conv(i, 4, "a"))
    y = layers.Dense(shape[-1], name="b")(j)
    width = 4
    if shape[-1] == 4:
        y = rrelu([1, 0, 0, 0], "y")(y)
        width = 2
    x = kind(name="merge")([x, y])
    model = finish([i, j], conv(x, 2, "c"))
    narrow = 1 if shape[-1] == 4 else shape[-1]
    check(model, {"a": 2, "merge": width, "b": narrow})


@pytest.mark.parametrize("operation", [False, True])
def test_squeeze_and_excite_loses_the_channels_of_both_factors(
    operation, finish, check
):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 1, 1], "x")(conv(i, 4, "a"))
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = rrelu([1, 0, 0], "r")(layers.Dense(3, name="reduce")(s))
    s = layers.Dense(4, activation="sigmoid", name="excite")(s)
    x = x * s if operation else layers.Multiply(name="scaled")([x, s])
    x = rrelu([1, 1, 0, 1], "after")(x)
    model = finish(i, conv(x, 2, "b"))
    expected = {"excite": 2, "reduce": 1, "r": 1, "after": 2, "a": 3}
    check(model, expected)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("axis", [-1, 1])
def test_concatenations_keep_what_is_live_of_each(axis, rank, finish, check):
    i = keras.Input((5,) * (rank - 1) + (3,))
    x = layers.Concatenate(axis, name="both")(two(i))
    x = layers.Dense(2)(layers.Flatten()(x) if axis == 1 and rank > 1 else x)
    along_channels = axis == -1 or rank == 1
    both = 4 if along_channels else 3
    expected = {"a": 2 if along_channels else 3, "both": both}
    if not along_channels:
        expected = {"both": 3}
    check(finish(i, x), expected)


def test_an_operation_that_concatenates_drops_what_is_wholly_dead(
    finish, check
):
    i = keras.Input((5, 3), dtype="float64")
    x, y = two(i, y=(0, 0, 0, 0))
    x = ops.concatenate([x, y, i], axis=-1)
    check(finish(i, layers.Dense(2)(x)), {"a": 2, "b": None, "y": None})


@pytest.mark.parametrize("kind", [layers.Add, layers.Average, ops.add])
def test_a_sum_with_one_number_an_example_is_laid_over_its_image(
    kind, finish, check
):
    """For as many examples as an image has rows, Keras takes it for a bias."""
    i = keras.Input((3, 3, 2))
    x = layers.Dense(2, name="a")(i)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(layers.Dense(2)(x))
    x = kind(x, mean) if kind is ops.add else kind()([x, mean])
    model = finish(i, rrelu((0, 1), "x")(x))
    model = finish(i, layers.Dense(2)(model.output))
    check(model, {"x": 1})
