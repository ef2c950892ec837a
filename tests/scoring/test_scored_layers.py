"""Which layers have scores, and under which keys."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError


def keys(model, method="l1"):
    return list(rrelu_tf.score(model, method))


def head(x):
    return layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(
    "behind",
    [
        lambda x: x,
        layers.Softmax(),
        layers.Activation("sigmoid"),
        layers.BatchNormalization(name="last"),
        layers.PReLU(),
        layers.Reshape((3, 1)),
        keras.ops.log_softmax,
        lambda x: x * 2.0,
        lambda x: keras.Sequential([keras.Input((3,)), layers.ReLU()])(x),
    ],
)
def test_what_makes_the_outputs_is_no_key(behind):
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(image, behind(head(x)))
    assert keys(model) == ["conv"]
    assert keys(model, "bn") == ["norm"]


def test_every_output_has_its_own_makers():
    image = keras.Input((6, 6, 1))
    stem = layers.Conv2D(4, 3, name="stem")(image)
    a = layers.Dense(2, name="a")(layers.Flatten()(stem))
    hidden = layers.Dense(5, name="hidden")(layers.Flatten()(stem))
    b = layers.Dense(2, name="b")(hidden)
    mean = layers.Average()([a, b])
    assert keys(keras.Model(image, [a, b])) == ["stem", "hidden"]
    assert keys(keras.Model(image, mean)) == ["stem", "hidden"]
    assert keys(keras.Model(image, {"x": hidden, "y": b})) == ["stem"]


def test_without_a_head_the_last_channels_are_the_outputs():
    image = keras.Input((6, 6, 1))
    x = layers.ReLU()(layers.Conv2D(4, 3, padding="same", name="first")(image))
    y = layers.Conv2D(4, 3, padding="same", name="second")(x)
    y = layers.BatchNormalization(name="norm")(y)
    x = layers.Add()([y, x])
    with pytest.raises(UserError, match="No layer .* l1 score"):
        keys(keras.Model(image, layers.GlobalAveragePooling2D()(x)))
    assert keys(keras.Model(image, head(x))) == ["first", "second"]


def test_shortcuts_come_behind_their_branches():
    model = rrelu_tf.models.create(
        "resnet8_b", num_classes=3, input_shape=(8, 8, 1)
    )
    assert keys(model)[:6] == [
        *("conv1", "layer1_0_conv1", "layer1_0_conv2"),
        *("layer2_0_conv1", "layer2_0_conv2", "layer2_0_shortcut_0"),
    ]
    assert keys(model, "bn")[-1] == "layer3_0_shortcut_1"


def test_nested_models_that_are_shared_have_one_key_a_layer():
    inner_image = keras.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same", name="conv")(inner_image)
    x = layers.BatchNormalization(name="norm")(x)
    inner = keras.Model(inner_image, layers.ReLU()(x), name="inner")
    image = keras.Input((6, 6, 2))
    outer = keras.Sequential([keras.Input((6, 6, 2)), inner], name="outer")
    model = keras.Model(image, head(inner(outer(image))))
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 6, 6, 2)), [0, 1, 2, 0, 1, 2]
    for method in ("l1", "fisher", "rdt", "grasp", "random"):
        assert list(rrelu_tf.score(model, method, data)) == ["outer/inner/conv"]
    for method in ("bn", "tfo"):
        assert list(rrelu_tf.score(model, method, data)) == ["outer/inner/norm"]


def test_an_einsum_that_makes_several_axes_has_no_filters():
    image = keras.Input((4, 6))
    x = layers.EinsumDense("abc,cde->abde", (4, 2, 3), name="heads")(image)
    x = layers.EinsumDense("abde,dec->abc", (4, 6), bias_axes="c", name="join")(
        x
    )
    x = layers.EinsumDense("abc,cd->abd", (4, 5), bias_axes="b", name="off")(x)
    x = layers.Dense(2)(layers.Flatten()(x))
    assert keys(keras.Model(image, x)) == ["join"]


def test_every_key_can_be_masked_and_stripped(zoo):
    keep = rrelu_tf.select(rrelu_tf.score(zoo, "l1"), sparsity=0.4)
    masked = rrelu_tf.mask(zoo, keep)
    small = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, small)
    assert small.count_params() < zoo.count_params()


@pytest.mark.parametrize("name", ["vit_tiny", "efficientnet_b0", "mixer_s"])
def test_other_architectures_are_scored(name):
    known = rrelu_tf.models.names()
    name = next(x for x in known if x.startswith(name))
    model = rrelu_tf.models.create(name, num_classes=3, input_shape=(32, 32, 3))
    found = rrelu_tf.score(model, "l1")
    widths = {key: model.get_layer(key).output.shape[-1] for key in found}
    assert {key: len(values) for key, values in found.items()} == widths
