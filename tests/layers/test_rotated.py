import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.initializers import Rotation
from rrelu_tf.layers import RGELU, Rotated, RReLU, RSiLU

ERF = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# layer -> f and f' written out.
WRITTEN_OUT = {
    RReLU: (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype)),
    RGELU: (
        lambda x: x * 0.5 * (1 + ERF(x / math.sqrt(2))),
        lambda x: (
            0.5 * (1 + ERF(x / math.sqrt(2)))
            + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        ),
    ),
    RSiLU: (
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    ),
}
LAYERS = pytest.mark.parametrize("kind", list(WRITTEN_OUT))
SHAPES = [(4, 3), (4, 5, 3), (2, 5, 4, 3), (2, 3, 4, 2, 3)]


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


@LAYERS
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_gradients_are_the_written_out_formula(kind, shape):
    function, derivative = WRITTEN_OUT[kind]
    layer = kind(dtype="float64")
    x, upstream = normal(*shape), normal(2, *shape)[1]
    with tf.GradientTape() as tape:
        inputs = tf.constant(x)
        tape.watch(inputs)
        outputs = layer(inputs)
        loss = tf.reduce_sum(outputs * upstream)
    by_input, by_slope = tape.gradient(loss, [inputs, layer.slope.value])
    slope = layer.slope.numpy()
    assert slope.shape == (3,)
    assert outputs.shape == shape
    # TensorFlow's GELU divides by the square root of 2 in float32.
    exact = 1e-7 if kind is RGELU else 1e-12
    np.testing.assert_allclose(
        outputs, slope * function(x), rtol=exact, atol=exact
    )
    np.testing.assert_allclose(
        by_input,
        upstream * slope * derivative(x),
        rtol=10 * exact,
        atol=10 * exact,
    )
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(
        by_slope, (upstream * function(x)).sum(axis=axes), atol=10 * exact
    )


@LAYERS
def test_a_zero_slope_makes_exactly_zero(kind):
    layer = kind(slope_initializer="zeros")
    assert not np.any(layer(1e6 * normal(4, 3)))


@LAYERS
def test_the_slope_runs_along_the_last_axis_only(kind):
    layer = kind()
    layer.build((None, 5, 7, 2))
    assert [(w.name, w.shape) for w in layer.weights] == [("slope", (2,))]
    assert layer.trainable_weights == layer.weights


def test_two_layers_of_a_model_begin_with_other_slopes():
    model = keras.Sequential([keras.Input((8,)), RReLU(), RReLU()])
    first, second = (layer.slope.numpy() for layer in model.layers)
    assert not np.array_equal(first, second)


def test_slopes_begin_as_rotations_by_default():
    layer = RReLU()
    assert isinstance(layer.slope_initializer, Rotation)
    layer.build((None, 1000))
    sizes = np.abs(layer.slope.numpy())
    assert sizes.min() >= 0.7002
    assert sizes.max() <= 1.42815


@LAYERS
@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_symbolic_and_real_shapes_agree(kind, rank):
    shape = (None, 2, 3, 4)[: rank - 1] + (6,)
    inputs = keras.Input(batch_shape=shape)
    model = keras.Model(inputs, kind()(inputs))
    assert model.output_shape == shape
    real = tuple(size or 2 for size in shape)
    assert model(normal(*real).astype("float32")).shape == real


@LAYERS
@pytest.mark.parametrize(
    ("policy", "out"),
    [
        ("mixed_bfloat16", "bfloat16"),
        ("mixed_float16", "float16"),
        ("float64", "float64"),
        ("float32", "float32"),
    ],
)
def test_policies_rule_the_output_and_the_slope_keeps_its_type(
    kind, policy, out
):
    layer = kind(dtype=policy)
    inputs = keras.Input((3,))
    symbolic = layer(inputs)
    outputs = layer(normal(4, 3).astype("float32"))
    stored = "float64" if policy == "float64" else "float32"
    assert symbolic.dtype == out
    assert outputs.dtype.name == out
    assert layer.slope.dtype == stored
    expected = layer.slope.numpy() * WRITTEN_OUT[kind][0](normal(4, 3))
    tolerance = {"bfloat16": 0.03, "float16": 0.004}.get(out, 1e-6)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float64")),
        expected,
        rtol=tolerance,
        atol=tolerance,
    )


@LAYERS
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_jitted_step_gives_the_same_numbers(kind, policy):
    layer = kind(dtype=policy)
    x = tf.constant(normal(4, 5, 3), "float32")
    layer(x)

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(x), "float32") ** 2)
        return loss, tape.gradient(loss, layer.slope.value)

    plain, jitted = step(), tf.function(step, jit_compile=True)()
    tolerance = 1e-5 if policy == "float32" else 2e-2
    for ours, theirs in zip(plain, jitted, strict=True):
        np.testing.assert_allclose(
            keras.ops.cast(ours, "float32"),
            keras.ops.cast(theirs, "float32"),
            rtol=tolerance,
        )


@LAYERS
def test_saved_and_loaded_models_agree_bit_for_bit(kind, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            kind(
                slope_initializer=Rotation(30, 50, seed=3),
                slope_regularizer=keras.regularizers.L1(0.25),
                slope_constraint="non_neg",
                name="act",
            ),
        ]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    layer = loaded.get_layer("act")
    assert type(layer) is kind
    assert layer.get_config() == model.get_layer("act").get_config()
    assert layer.slope_initializer.get_config()["max_degrees"] == 50
    assert float(layer.slope_regularizer.l1) == 0.25
    assert isinstance(layer.slope_constraint, keras.constraints.NonNeg)
    x = normal(2, 5, 4).astype("float32")
    assert np.array_equal(model(x), loaded(x))


@LAYERS
def test_from_config_makes_the_same_layer(kind):
    layer = kind(slope_initializer="ones", trainable=False, name="here")
    copy = kind.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert not copy.trainable
    assert isinstance(copy.slope_initializer, keras.initializers.Ones)


def test_the_regulariser_adds_to_the_loss():
    layer = RReLU(slope_regularizer=keras.regularizers.L1(0.1))
    layer(normal(2, 3).astype("float32"))
    expected = 0.1 * np.abs(layer.slope.numpy()).sum()
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-6)


def test_the_constraint_is_applied_while_training():
    layer = RReLU(slope_initializer="ones", slope_constraint="non_neg")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(100.0), "mse")
    x = np.ones((8, 3), "float32")
    model.fit(x, np.zeros((8, 3)), verbose=0)
    assert np.array_equal(layer.slope.numpy(), np.zeros(3))


@LAYERS
def test_training_by_fit_moves_the_slopes(kind):
    layer = kind()
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = layer.slope.numpy()
    x = normal(16, 3)
    model.fit(x, x.sum(1), verbose=0)
    assert np.all(layer.slope.numpy() != before)


def test_a_frozen_layer_keeps_its_slopes():
    layer = RReLU(trainable=False)
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = layer.slope.numpy()
    model.fit(normal(16, 3), normal(16, 1), verbose=0)
    assert np.array_equal(layer.slope.numpy(), before)


@LAYERS
def test_a_mask_passes_through(kind):
    layer = kind()
    assert layer.supports_masking
    x = normal(2, 4, 3)
    x[:, 2:] = 0
    outputs = layer(keras.layers.Masking()(x))
    mask = keras.src.backend.get_keras_mask(outputs)
    assert np.array_equal(mask, [[True, True, False, False]] * 2)


def test_integers_are_taken_as_floats():
    layer = RReLU(slope_initializer="ones")
    assert np.array_equal(layer(tf.constant([[-1, 2]])), [[0.0, 2.0]])


@LAYERS
@pytest.mark.parametrize("shape", [(None,), (5,), (None, 3, None)])
def test_a_shape_without_known_channels_is_refused(kind, shape):
    with pytest.raises(UserError) as caught:
        kind().build(shape)
    assert str(caught.value).endswith(f"Received: input_shape={shape}")


def test_a_built_layer_refuses_another_width():
    layer = RReLU()
    layer.build((None, 3))
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(normal(2, 4))


def test_the_base_class_cannot_be_used():
    with pytest.raises(TypeError, match="abstract"):
        Rotated()
