"""Dot: where one factor is 0 the other is not needed."""

import keras
import pytest
from keras import layers
from planned import rrelu

pytestmark = pytest.mark.usefixtures("float64")


def factors(shapes, slopes=((1, 0, 2, 0), (1, 1, 0, 0))):
    """Inputs, and tensors of four channels each."""
    inputs = [keras.Input(shape) for shape in shapes]
    tensors = [
        rrelu(slope, f"act{n}")(layers.Dense(4, name=f"d{n}")(i))
        for n, (i, slope) in enumerate(zip(inputs, slopes, strict=True))
    ]
    return inputs, tensors


@pytest.mark.parametrize(
    ("shapes", "axes"),
    [
        (((3,), (3,)), 1),
        (((3,), (3,)), -1),
        (((5, 3), (6, 3)), 2),
        (((5, 3), (6, 3)), (-1, -1)),
        (((5, 3), (3,)), (2, 1)),
    ],
)
def test_a_product_over_channels_needs_those_of_both(
    shapes, axes, finish, check
):
    inputs, tensors = factors(shapes)
    x = layers.Dot(axes, name="x")(tensors)
    model = finish(inputs, layers.Dense(2)(x))
    check(model, {"d0": 1, "act0": 1, "d1": 1, "act1": 1})


def test_a_product_over_steps_makes_a_matrix_of_channels(finish, check):
    inputs, tensors = factors(((5, 3), (5, 3)))
    x = layers.Dot(1, name="x")(tensors)
    model = finish(inputs, layers.Dense(2, name="b")(x))
    check(model, {"d0": 2, "d1": 2, "x": 2})


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((5, 3), (6, 3))])
def test_a_normalised_product_needs_all_of_both_lengths(shapes, finish, check):
    inputs, tensors = factors(shapes)
    x = layers.Dot(-1, normalize=True, name="x")(tensors)
    model = finish(inputs, layers.Dense(2)(x))
    check(model, {"d0": 2, "act0": 2, "d1": 2, "act1": 2})
