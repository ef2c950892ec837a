"""Dead channels through reshapes, transposes, slices, splits and pads."""

import keras
import pytest
from keras import layers, ops
from planned import IMAGE, around, conv, rrelu

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Flatten(),
        lambda: layers.Reshape((30, 4)),
        lambda: layers.Reshape((-1, 4)),
        lambda: layers.Reshape((5, 6, 4)),
        lambda: layers.Reshape((3, 2, 5, 4)),
        lambda: layers.Reshape((6, 20)),  # channels merge with columns
        lambda: layers.Reshape((6, 5, 2, 2)),  # and split
        lambda: layers.Permute((2, 1, 3)),
        lambda: layers.Permute((3, 1, 2)),
        lambda: layers.Permute((1, 3, 2)),
    ],
)
def test_layers_that_move_elements_let_dead_channels_through(
    layer, finish, check
):
    check(finish(*around(layer())), {"a": 2, "act": 2})


def test_a_vector_becomes_an_image_of_one_pixel(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(conv(i, 4, "a"))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Reshape((1, 1, 4), name="x")(x)
    check(finish(i, conv(x, 2, "b")), {"a": 2, "pool": 2, "x": 2})


@pytest.mark.parametrize("slopes", [(1, 0, 1, 0, 1, 0), (1, 0, 0, 1, 1, 1)])
def test_a_channel_shuffle(slopes, finish, check):
    i = keras.Input(IMAGE)
    x = rrelu(slopes)(conv(i, 6, "a"))
    x = layers.Reshape((6, 5, 2, 3))(x)
    x = layers.Permute((1, 2, 4, 3))(x)
    x = layers.Reshape(IMAGE[:2] + (6,), name="shuffled")(x)
    check(finish(i, conv(x, 2, "b")), {"a": sum(slopes), "act": sum(slopes)})


def test_a_repeated_vector(finish, check):
    layer = layers.RepeatVector(3, name="x")
    check(finish(*around(layer, (3,))), {"a": 2, "act": 2, "x": 2})


def test_flatten_of_an_image_in_front_of_a_dense_layer(finish, check):
    check(finish(*around(layers.Flatten(name="x"))), {"a": 2, "x": 60})


@pytest.mark.parametrize(
    ("operation", "width"),
    [
        (lambda x: ops.reshape(x, (-1, 30, 4)), 2),
        (lambda x: ops.reshape(x, (-1, 6, 20)), 2),
        (lambda x: ops.reshape(x, (-1, 6, 5, 2, 2)), 2),
        (lambda x: ops.transpose(x, (0, 2, 1, 3)), 2),
        (lambda x: ops.transpose(x, (0, 3, 1, 2)), 2),
        (lambda x: ops.swapaxes(x, 1, 2), 2),
        (lambda x: ops.moveaxis(x, -1, 1), 2),
        (lambda x: x[..., 1:3], 1),
        (lambda x: x[..., ::-1], 2),
        (lambda x: x[:, 1:-1, ::2], 2),
        (lambda x: x[:, 0], 2),
        (lambda x: ops.slice(x, (0, 0, 0, 1), (-1, 6, 5, 2)), 1),
        (lambda x: ops.slice(x, (0, 1, 2, 0), (-1, 4, 3, 4)), 2),
        (lambda x: ops.rot90(x, axes=(1, 2)), 2),
        (lambda x: ops.array_split(x, 3, axis=-1)[0], 1),
        (lambda x: ops.array_split(x, 3, axis=1)[2], 2),
        (lambda x: ops.unstack(x, axis=-1)[2], 1),
        (lambda x: ops.add(*ops.unstack(x, axis=-1)[1:3]), 1),
        (lambda x: ops.unstack(x, axis=1)[4], 2),
        (lambda x: ops.hstack([x, x]), 2),
        (lambda x: ops.split(x, 2, axis=-1)[0], 1),
        (lambda x: ops.split(x, [1, 3], axis=-1)[1], 1),
        (lambda x: ops.split(x, 2, axis=1)[1], 2),
        (lambda x: ops.add(*ops.split(x, 2, axis=-1)), 2),
        (lambda x: ops.concatenate(ops.split(x, 2, axis=-1)[::-1], axis=-1), 2),
        (lambda x: ops.concatenate([x, x], axis=1), 2),
        (lambda x: ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 2),
        (lambda x: ops.pad(x, [[0, 0], [0, 0], [0, 0], [1, 2]]), 2),
        (lambda x: ops.take(x, [3, 2, 0], axis=-1), 2),
        (lambda x: ops.take(x, [0, 0, 1], axis=-1), 1),
        (lambda x: ops.take(x, 2, axis=-1), 1),
        (lambda x: ops.repeat(x, 2, axis=-1), 2),
        (lambda x: ops.repeat(x, 2, axis=1), 2),
        (lambda x: ops.tile(x, (1, 1, 1, 2)), 2),
        (lambda x: ops.flip(x, axis=-1), 2),
        (lambda x: ops.roll(x, 1, axis=-1), 2),
        (lambda x: ops.expand_dims(x, 1), 2),
        (lambda x: ops.expand_dims(x, -1), 2),
        (lambda x: ops.squeeze(ops.expand_dims(x, 2), 2), 2),
    ],
)
def test_operations_that_move_elements_let_dead_channels_through(
    operation, width, finish, check
):
    check(finish(*around(operation)), {"a": width, "act": width})


def test_rows_of_a_constant_channel_padded_with_zeros_are_computed(
    finish, check
):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(conv(i, 4, "a"))
    x = layers.Activation("sigmoid", name="half")(x)
    x = ops.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]])
    check(finish(i, conv(x, 2, "b")), {"a": 2, "act": 2})


def test_constants_without_an_axis_to_fill_them_in_along_are_computed(
    finish, check
):
    i = keras.Input((3,))
    x = rrelu([0, 0, 0])(layers.Dense(3, name="a")(i))
    x = layers.Rescaling(1.0, offset=[0.0, 0.0, 0.5])(x)
    numbers = ops.unstack(x, axis=1)  # one an example each
    check(finish(i, ops.stack(numbers[::-1], axis=1)), {"a": 1})


def test_each_part_of_a_split_loses_its_own_channels(finish, check):
    i = keras.Input(IMAGE)
    parts = ops.split(conv(i, 6, "a"), 2, axis=-1)
    left = rrelu([1, 0, 0], "left")(parts[0])
    right = rrelu([0, 1, 1], "right")(parts[1])
    outputs = [conv(left, 2, "l"), conv(right, 2, "r")]
    small = check(finish(i, outputs), {"a": 3, "left": 1, "right": 2})
    assert small.kept["a"] == [0, 4, 5]


def test_a_time_step_may_be_taken(finish, check):
    i = keras.Input((5, 3))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = layers.Dense(2)(x[:, -1] * 2.0)
    check(finish(i, x), {"a": 2, "act": 2})


def test_a_part_without_elements_is_no_error(finish, check):
    def first(x):
        return ops.array_split(x, 5, axis=-1)[0] * ops.split(x, [0, 1], -1)[1]

    check(finish(*around(first)), {"a": 2, "act": 2})


def test_a_narrower_tensor_is_split_into_as_many_parts(finish, check):
    i = keras.Input((3,))
    x = rrelu([1, 1, 0, 0, 0, 0])(layers.Dense(6, name="a")(i))
    parts = ops.array_split(x, 3, axis=-1)
    outputs = [layers.Dense(2)(part) for part in parts]
    check(finish(i, outputs), {"a": 2, "act": 2})
