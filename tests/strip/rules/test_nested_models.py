"""Dead channels inside of nested models, and through them."""

import keras
import pytest
from keras import layers, ops
from planned import IMAGE, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import BatchNormalization

pytestmark = pytest.mark.usefixtures("float64")


def sequential(width=4, slopes=(1, 0, 0, 1, 1), name="nested"):
    parts = [
        keras.Input((width,)),
        layers.Dense(5, name="in"),
        rrelu(slopes, "in_act"),
        layers.Dense(4, name="out"),
        BatchNormalization(name="norm"),
        rrelu([1, 1, 0, 1], "out_act"),
    ]
    return keras.Sequential(parts, name=name)


def functional(make, name, shape=(4,)):
    i = keras.Input(shape)
    return keras.Model(i, make(i), name=name)


def inner(model, *path):
    for name in path:
        model = model.get_layer(name)
    return model


def test_a_nested_model_is_narrowed_inside_and_on_both_sides(finish, check):
    i = keras.Input((3,))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    model = finish(i, layers.Dense(2, name="b")(sequential()(x)))
    small = check(model, {"a": 2, "act": 2, "nested": 3})
    assert inner(small, "nested", "in").kernel.shape == (2, 3)
    assert inner(small, "nested", "out").kernel.shape == (3, 3)
    assert small.get_layer("b").kernel.shape == (3, 2)
    assert small.kept["nested/in"] == [0, 3, 4]


def test_two_levels_deep(finish, check):
    deep = functional(
        lambda x: layers.Dense(4, name="last")(sequential()(x)), "deep"
    )
    i = keras.Input((3,))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    x = rrelu([0, 1, 1, 0], "after")(deep(x))
    small = check(finish(i, layers.Dense(2)(x)), {"a": 2, "after": 2})
    assert inner(small, "deep", "nested", "in").kernel.shape == (2, 3)
    assert inner(small, "deep", "last").kernel.shape == (3, 2)


@pytest.mark.parametrize("parallel", [True, False])
def test_a_nested_model_called_twice_is_one_model(parallel, finish, check):
    nested = sequential()
    i = keras.Input((3,))
    x = rrelu([1, 0, 2, 0], "x")(layers.Dense(4, name="a")(i))
    y = rrelu([1, 1, 0, 0], "y")(layers.Dense(4, name="b")(i))
    if parallel:
        x = layers.Concatenate()([nested(x), nested(y)])
    else:
        x = nested(nested(x))
    small = check(finish(i, layers.Dense(2)(x)), {"a": 2, "x": 2})
    assert inner(small, "nested", "in").units == 3
    assert sum(layer.name == "nested" for layer in small.layers) == 1


def test_a_nested_model_of_several_inputs_and_outputs(finish, check):
    i, j = keras.Input((4,)), keras.Input((4,))
    x = layers.Dense(5, name="left")(i)
    y = layers.Dense(5, name="right")(layers.Add()([i, j]))
    nested = keras.Model([i, j], [x, y], name="nested")
    i = keras.Input((3,))
    x = rrelu([1, 0, 2, 0], "x")(layers.Dense(4, name="a")(i))
    y = rrelu([1, 1, 0, 0], "y")(layers.Dense(4, name="b")(i))
    x, y = nested([x, y])
    x = rrelu([1, 0, 0, 0, 1], "p")(x)
    y = rrelu([0, 1, 1, 1, 0], "q")(y)
    model = finish(i, [layers.Dense(2)(x), layers.Dense(2)(y)])
    small = check(model, {"a": 2, "b": 2, "p": 2, "q": 3})
    assert inner(small, "nested", "left").kernel.shape == (2, 2)
    assert inner(small, "nested", "right").kernel.shape == (3, 3)


def test_an_output_of_a_nested_model_that_nobody_reads(finish, check):
    i = keras.Input((4,))
    unread = layers.Dense(7, name="unread")(i)
    nested = keras.Model(
        i, {"a": layers.Dense(5, name="read")(i), "b": unread}, name="n"
    )
    i = keras.Input((4,))
    x = rrelu([1, 0, 0, 1, 0])(nested(i)["a"])
    small = check(finish(i, layers.Dense(2)(x)), {"act": 2})
    assert inner(small, "n", "read").units == 2
    assert inner(small, "n", "unread").units == 1


def test_images_and_constants_through_a_nested_model(finish, check):
    nested = functional(
        lambda x: BatchNormalization(name="bn")(conv(x, 5, "c")),
        "nested",
        (6, 5, 4),
    )
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0])(conv(i, 4, "a"))
    x = nested(layers.Activation("sigmoid")(x))
    x = rrelu([1, 0, 0, 0, 1], "after")(x)
    small = check(finish(i, conv(x, 2, "b")), {"a": 2, "after": 2})
    assert inner(small, "nested", "c").filters == 2


def test_a_nested_model_is_the_whole_model(finish, check):
    i = keras.Input((4,))
    small = check(finish(i, sequential()(i)), {})
    assert inner(small, "nested", "in").units == 3
    assert small.output_shape == (None, 4)


def test_zeros_that_only_the_shape_was_made_of_are_not_read_as_zeros(check):
    i = keras.Input((3,))
    x = layers.Rescaling([-0.7, 0.0, 0.0], name="scaled")(i)
    j = keras.Input((3,))
    inner = keras.Model(j, j[..., 1:3], name="inner")
    check(keras.Model(i, [inner(x), layers.Dense(2)(x)]), {"scaled": 1})


def test_a_nested_model_that_became_two_is_recorded_under_both_names(
    finish, check
):
    i = keras.Input((3,))
    j = keras.Input((2,))
    inner = keras.Model(j, layers.ReLU(name="relu")(j), name="inner")
    x = inner(rrelu([1, 0], "x")(layers.Dense(2, name="a")(i)))
    y = inner(rrelu([1, 1], "y")(layers.Dense(2, name="b")(i)))
    model = finish(i, [layers.Dense(1)(x), layers.Dense(1)(y)])
    small = check(model, {"a": 1, "b": 2})
    kept = rrelu_tf.kept(rrelu_tf.strip(small))
    both = [kept[name].tolist() for name in ("inner/relu", "inner_2/relu")]
    assert sorted(both) == [[0], [0, 1]]


def test_constants_of_one_axis_are_filled_in_along_the_others(gap):
    def doubled(x):
        x = layers.Permute((4, 1, 2, 3))(x)
        return layers.Concatenate()([x, layers.GaussianNoise(1.0)(x)])

    i = keras.Input((2, 3, 2, 3))
    x = layers.Rescaling([0.0, 1.0, 0.0], [0.0, 0.0, 0.5])(i)
    x = ops.take(x, [2, 2, 2, 0], axis=-1)
    x = functional(doubled, "nested", (2, 3, 2, 4))(x)
    model = keras.Model(i, [x, layers.Dense(2)(i)])
    small = rrelu_tf.strip(model)
    assert gap(model, small) == 0
    assert small.get_layer("nested").output.shape[-1] == 2
