"""rotate: activations become rotated ones, the function stays the same."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RGELU, Rotated, RReLU, RSiLU
from rrelu_tf.strip.cloning import clone


def rotated_layers(model):
    return {x.name: x for x in model.layers if isinstance(x, Rotated)}


def assert_equal(a, b, tolerance=1e-6):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, *a.input_shape[1:])).astype("float32")
    x, y = (np.asarray(m(images, training=False)) for m in (a, b))
    assert np.abs(x).max() > 0
    np.testing.assert_allclose(x, y, atol=tolerance * np.abs(x).max())


@pytest.fixture
def mixed():
    i = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="inside")(i)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("gelu", name="behind")(x)
    x = layers.SeparableConv2D(5, 3, activation="swish", name="sep")(x)
    x = layers.ReLU(name="layer")(x)
    x = ops.silu(ops.relu(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(i, layers.Dense(3, name="head")(x), name="mixed")


def test_slopes_of_one_leave_the_function_as_it_is(mixed):
    rotated = rrelu_tf.rotate(mixed)
    found = rotated_layers(rotated)
    assert [type(x) for x in found.values()] == [
        *(RReLU, RGELU, RSiLU, RReLU, RReLU, RSiLU)
    ]
    assert {"inside_rotated", "behind", "sep_rotated", "layer"} <= set(found)
    assert_equal(mixed, rotated)
    assert rotated.count_params() == mixed.count_params() + sum(
        x.slope.shape[0] for x in found.values()
    )


def test_the_papers_initialisation_draws_other_slopes_for_each_layer(mixed):
    rotated = rrelu_tf.rotate(mixed, rrelu_tf.initializers.Rotation(seed=1))
    slopes = [x.slope.numpy() for x in rotated_layers(rotated).values()]
    for slope in slopes:
        assert (np.abs(slope) > 0.7).all() and (np.abs(slope) < 1.43).all()
    assert not np.array_equal(slopes[3], slopes[4])  # equally wide


def test_the_source_is_left_as_it_is(mixed):
    before = [x.copy() for x in mixed.get_weights()]
    rotated = rrelu_tf.rotate(mixed)
    for variable in rotated.variables:
        variable.assign(variable + 1)
    for old, new in zip(before, mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not rotated_layers(mixed)


def test_a_rotated_model_is_masked_stripped_saved(mixed, tmp_path):
    rotated = rrelu_tf.rotate(mixed)
    slope = rotated.get_layer("sep_rotated").slope
    slope.assign([1, 0, 1, 0, 1])
    small = rrelu_tf.strip(rotated)
    rrelu_tf.verify(rotated, small)
    assert small.get_layer("sep").filters == 3
    rotated.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(rotated, again, tolerance=0)


def test_a_regularizer_reaches_every_slope(mixed):
    l1 = keras.regularizers.L1(1e-2)
    rotated = rrelu_tf.rotate(mixed, slope_regularizer=l1)
    channels = sum(x.slope.shape[0] for x in rotated_layers(rotated).values())
    total = float(sum(rotated.losses))
    assert total == pytest.approx(1e-2 * channels, rel=1e-5)


def test_nested_and_shared_models_are_rotated_once():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="relu", name="d")],
        name="inner",
    )
    i = keras.Input((4,))
    x = inner(inner(i))
    x = layers.Activation("silu", name="act")(x)
    model = keras.Model(i, layers.Dense(2)(x))
    rotated = rrelu_tf.rotate(model)
    scores = rrelu_tf.score(rotated, "slope")
    assert list(scores) == ["inner/d_rotated", "act"]
    assert_equal(model, rotated)


def test_an_activation_layer_called_twice_gets_slopes_for_each_call():
    act = layers.ReLU(name="act")
    i = keras.Input((4,))
    x = act(layers.Dense(6, name="b")(act(layers.Dense(5, name="a")(i))))
    rotated = rrelu_tf.rotate(keras.Model(i, x))
    widths = {k: x.slope.shape[0] for k, x in rotated_layers(rotated).items()}
    assert widths == {"act": 5, "act_2": 6}


def test_a_shared_layer_has_one_set_of_slopes():
    dense = layers.Dense(4, activation="relu", name="d")
    i = keras.Input((4,))
    model = keras.Model(i, dense(dense(i)))
    rotated = rrelu_tf.rotate(model)
    assert list(rotated_layers(rotated)) == ["d_rotated"]
    assert_equal(model, rotated)


@pytest.mark.parametrize(
    "activation",
    [
        layers.ReLU(6.0, name="other"),
        layers.ReLU(negative_slope=0.1, name="other"),
        layers.LeakyReLU(name="other"),
        layers.Activation("relu6", name="other"),
        layers.Activation("leaky_relu", name="other"),
        layers.SimpleRNN(3, activation="relu", name="other"),
    ],
    ids=lambda layer: f"{type(layer).__name__}",
)
def test_what_is_no_plain_rectifier_is_left_and_listed(activation):
    i = keras.Input((4, 3))
    x = layers.Dense(3, activation="relu", name="d")(i)
    # A fresh one: a parameter's layer would remember its last call.
    x = type(activation).from_config(activation.get_config())(x)
    model = keras.Model(i, x)
    with pytest.warns(UserWarning, match="left as they are: other"):
        rotated = rrelu_tf.rotate(model)
    assert list(rotated_layers(rotated)) == ["d_rotated"]
    assert_equal(model, rotated)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        *((keras.activations.relu, RReLU), (ops.relu, RReLU)),
        *((keras.activations.gelu, RGELU), (tf.nn.relu, RReLU)),
        *((keras.activations.silu, RSiLU), (ops.silu, RSiLU)),
        *((ops.swish, RSiLU), (tf.nn.silu, RSiLU), (tf.nn.gelu, RGELU)),
        *((layers.ReLU(), RReLU), (layers.Activation("gelu"), RGELU)),
        (layers.Activation("swish"), RSiLU),
    ],
    ids=lambda x: getattr(x, "__name__", getattr(x, "name", None)),
)
@pytest.mark.parametrize("form", ["argument", "layer", "call"])
def test_every_form_of_a_rectifier_is_rotated(function, kind, form):
    i = keras.Input((3,))
    if form == "argument":
        x = layers.Dense(4, activation=function)(i)
    elif form == "layer":
        x = layers.Activation(function)(layers.Dense(4)(i))
    elif function in (tf.nn.relu, tf.nn.silu, tf.nn.gelu):
        with pytest.raises(ValueError):  # Keras lets them see no inputs
            function(i)
        return
    else:
        # A fresh one: a parameter's layer would remember its last call.
        if isinstance(function, layers.Layer):
            function = type(function).from_config(function.get_config())
        x = function(layers.Dense(4)(i))
    model = keras.Model(i, x)
    rotated = rrelu_tf.rotate(model)
    assert [type(x) for x in rotated_layers(rotated).values()] == [kind]
    assert_equal(model, rotated)
    rotated.layers[-1].slope.assign([0] * 4)
    assert not np.asarray(rotated(np.ones((2, 3)))).any()


@keras.saving.register_keras_serializable("tests")
def ramp(x):
    """A rectifier that nobody but its author knows."""
    return ops.maximum(x, 0.0)


@pytest.mark.parametrize(
    "function",
    [
        *(ops.relu6, ops.leaky_relu, ops.gelu, tf.nn.relu6, ramp),
        *(layers.LeakyReLU(), layers.ReLU(6.0), layers.PReLU()),
        *(layers.Activation("relu6"), layers.ReLU(activity_regularizer="l1")),
        layers.ReLU(dtype="float16"),
    ],
    ids=lambda x: getattr(x, "__name__", getattr(x, "name", None)),
)
def test_other_rectifiers_as_an_activation_are_left_and_listed(function):
    i = keras.Input((3,))
    x = layers.Dense(4, activation="relu", name="d")(i)
    x = layers.Dense(4, activation=function, name="other")(x)
    model = keras.Model(i, layers.Dense(2, "softmax")(x))
    with pytest.warns(UserWarning, match="left as they are: other$"):
        rotated = rrelu_tf.rotate(model)
    assert list(rotated_layers(rotated)) == ["d_rotated"]
    assert_equal(model, rotated)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: keras.activations.relu(x, max_value=6.0),
        lambda x: keras.activations.relu(x, negative_slope=0.1),
        lambda x: keras.activations.relu(x, threshold=0.5),
        *(ops.relu6, ops.leaky_relu, lambda x: ops.threshold(x, 0.2, 0.0)),
        *(layers.Lambda(ops.relu), layers.PReLU()),
    ],
)
def test_other_rectifiers_as_a_call_are_left_and_listed(call):
    i = keras.Input((3,))
    if isinstance(call, layers.Layer):
        call = clone(call)
    x = call(layers.Dense(4, activation="relu", name="d")(i) * 9)
    model = keras.Model(i, x)
    name = re.escape(model.operations[-1].name)
    with pytest.warns(UserWarning, match=f"left as they are: {name}$"):
        rotated = rrelu_tf.rotate(model)
    assert list(rotated_layers(rotated)) == ["d_rotated"]
    assert_equal(model, rotated)


def test_gelu_by_tanh_is_left_and_listed():
    i = keras.Input((3,))
    x = ops.gelu(layers.Dense(3, activation="gelu", name="d")(i))
    with pytest.warns(UserWarning, match="left as they are: gelu"):
        rotated = rrelu_tf.rotate(keras.Model(i, x))
    assert list(rotated_layers(rotated)) == ["d_rotated"]


def test_operations_keep_their_dtype_and_whole_numbers_are_left():
    i = keras.Input((3,), dtype="float64")
    ids = keras.Input((3,), dtype="int32")
    table = layers.Embedding(5, 3, dtype="float64")(ops.relu(ids))
    x = ops.relu(layers.Dense(3, dtype="float64")(i))
    x = layers.Flatten(dtype="float64")(table) + layers.Dense(
        9, "relu", dtype="float64", name="d"
    )(x)
    model = keras.Model([i, ids], x)
    with pytest.warns(UserWarning, match="left as they are: relu"):
        rotated = rrelu_tf.rotate(model)
    assert len(rotated_layers(rotated)) == 2
    given = [np.linspace(-1, 1, 6).reshape(2, 3), np.array([[1, 2, 3]] * 2)]
    x, y = model(given), rotated(given)
    assert x.dtype == y.dtype == "float64"
    np.testing.assert_array_equal(x, y)


def test_an_operation_that_drops_a_mask_is_left():
    i = keras.Input((4, 3))
    x = ops.relu(layers.Masking()(i))
    x = layers.LSTM(2)(layers.Dense(3, "relu", name="d")(x))
    model = keras.Model(i, x)
    with pytest.warns(UserWarning, match="left as they are: relu"):
        rotated = rrelu_tf.rotate(model)
    images = np.random.default_rng(0).normal(size=(2, 4, 3))
    images[:, 2:] = 0
    np.testing.assert_allclose(model(images), rotated(images), atol=1e-6)


def test_activity_penalties_stay_on_the_activation():
    i = keras.Input((3,))
    layer = layers.Dense(4, "relu", activity_regularizer="l2", name="d")
    model = keras.Model(i, layers.ReLU(activity_regularizer="l1")(layer(i)))
    rotated = rrelu_tf.rotate(model)
    images = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    losses = []
    for net in (model, rotated):
        net(images)
        losses.append(float(sum(net.losses)))
    assert losses[0] > 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_wrapped_activations_are_listed():
    i = keras.Input((4, 3))
    x = layers.Dense(3, "relu", name="d")(i)
    inner = layers.Dense(2, activation="relu")
    model = keras.Model(i, layers.TimeDistributed(inner, name="wrapped")(x))
    with pytest.warns(UserWarning, match="left as they are: wrapped"):
        rrelu_tf.rotate(model)


def test_what_was_left_alone_is_named_where_nothing_was_rotated():
    i = keras.Input((3,))
    x = layers.ReLU(max_value=6, name="six")(i)
    x = layers.LeakyReLU(name="leaky")(layers.Dense(2, "relu6", name="d")(x))
    model = keras.Model(i, x, name="plain")
    with pytest.raises(
        UserError, match="are: six, d, leaky. Received: model=plain$"
    ):
        rrelu_tf.rotate(model)


def test_a_model_without_such_an_activation_is_an_error():
    i = keras.Input((3,))
    model = keras.Model(i, layers.Dense(2, "tanh")(i), name="plain")
    with pytest.raises(UserError, match="channels. Received: model=plain$"):
        rrelu_tf.rotate(model)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"slope_initializer": "nonsense"}, "slope_initializer=nonsense"),
        ({"slope_initializer": None}, "slope_initializer=None"),
        ({"slope_regularizer": "nonsense"}, "slope_regularizer=nonsense"),
    ],
)
def test_what_is_no_initializer_is_an_error(mixed, options, received):
    with pytest.raises(UserError, match=f"^[^\n]*Received: {received}$"):
        rrelu_tf.rotate(mixed, **options)


@pytest.mark.parametrize("model", [None, "resnet20"])
def test_what_is_no_model_is_an_error(model):
    kind = type(model).__name__
    with pytest.raises(UserError, match=f"^[^\n]*Received: model={kind}$"):
        rrelu_tf.rotate(model)


def test_float16_policies_and_frozen_layers_survive():
    i = keras.Input((3,))
    layer = layers.Dense(
        4, activation="relu", dtype="mixed_float16", name="d", trainable=False
    )
    rotated = rrelu_tf.rotate(keras.Model(i, layer(i)))
    made = rotated.get_layer("d_rotated")
    assert made.dtype_policy.name == "mixed_float16" and not made.trainable
    assert not rotated.trainable_variables


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("MobileNetV2", None, 96),
        ("EfficientNetB0", RSiLU, 64),
        ("ResNet50", RReLU, 64),
        ("ConvNeXtTiny", RGELU, 64),
        ("DenseNet121", RReLU, 64),
    ],
)
@pytest.mark.slow
def test_keras_applications_rotate(name, kind, size):
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(size, size, 3), classes=5)
    if kind is None:
        with pytest.raises(UserError):  # ReLU6 everywhere
            rrelu_tf.rotate(model)
        return
    rotated = rrelu_tf.rotate(model)
    assert kind in {type(x) for x in rotated._flatten_layers()}
    assert_equal(model, rotated, 1e-5)
