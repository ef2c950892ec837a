"""Dead channels through the mean over the steps that a mask leaves."""

import keras
import pytest
from keras import layers
from planned import rrelu

import rrelu_tf

pytestmark = pytest.mark.usefixtures("float64")


def tokens(**options):
    """(input, masked embedding of four channels, two of them dead)."""
    i = keras.Input((7,), dtype="int32")
    x = layers.Embedding(5, 6, mask_zero=True, name="table")(i)
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(x))
    assert x._keras_mask is not None
    return i, x


@pytest.mark.parametrize("keepdims", [True, False])
def test_dead_channels_go_through_a_masked_mean(keepdims, finish, check):
    i, x = tokens()
    x = layers.GlobalAveragePooling1D(keepdims=keepdims, name="x")(x)
    model = finish(i, layers.Dense(2)(x))
    small = check(model, {"a": 2, "act": 2, "x": 2})
    few = keras.ops.convert_to_tensor([[3, 0, 0, 0, 0, 0, 0]])
    assert abs(model(few) - small(few)).numpy().max() < 1e-12


def test_what_nothing_reads_behind_a_masked_mean_goes(finish, check):
    i, x = tokens()
    x = layers.GlobalAveragePooling1D(name="x")(x)
    x = layers.Dense(2)(rrelu([1, 1, 0, 0], "after")(x))
    check(finish(i, x), {"a": 1, "act": 1, "x": 1, "after": 1})


def test_a_number_other_than_0_is_computed(finish, check):
    i, x = tokens()
    x = layers.Activation("sigmoid")(x)
    x = layers.GlobalAveragePooling1D(name="x")(x)
    check(finish(i, layers.Dense(2)(x)), {"a": 2, "act": 2, "x": 4})


def test_numbers_masked_by_a_layer(finish, check):
    i = keras.Input((7, 3))
    x = layers.Masking(0.3)(i)
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(x))
    x = layers.GlobalAveragePooling1D(name="x")(x)
    check(finish(i, layers.Dense(2)(x)), {"a": 2, "act": 2, "x": 2})


def test_a_mask_of_ones_own(finish, check):
    i, mask = keras.Input((7, 3)), keras.Input((7,), dtype="int32")
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = layers.GlobalAveragePooling1D(name="x")(x, mask=mask)
    model = finish([i, mask], layers.Dense(2)(x))
    check(model, {"a": 2, "act": 2, "x": 2})


def test_tied_channels_pass_a_masked_mean(finish, gap):
    i, x = tokens()
    x = layers.GlobalAveragePooling1D(name="x")(x)
    model = finish(i, layers.Dense(2)(x))
    small = rrelu_tf.strip(model, align="couple")
    assert gap(model, small) < 1e-12
    assert small.get_layer("x").output.shape[-1] == 2
