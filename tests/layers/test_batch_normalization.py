import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.layers import BatchNormalization

STOCK = keras.layers.BatchNormalization
SHAPES = [(6, 3), (4, 5, 3), (4, 3, 5, 3), (2, 2, 3, 2, 3)]
PARTS = [(True, True), (True, False), (False, True), (False, False)]


def normal(*shape, dtype="float32"):
    values = np.random.default_rng(1).normal(0.7, 3.0, size=shape)
    return values.astype(dtype)


def pair(shape, **options):
    """Ours and the stock layer, of equal, non-trivial weights."""
    generator = np.random.default_rng(2)
    layers = BatchNormalization(**options), STOCK(**options)
    for layer in layers:
        layer.build((None, *shape[1:]))
    values = [
        generator.uniform(0.3, 2.0, weight.shape)
        for weight in layers[0].weights
    ]
    for layer in layers:
        layer.set_weights(values)
    return layers


def step(layer, x, upstream, training):
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, training=training)
        loss = tf.reduce_sum(outputs * upstream)
    weights = [weight.value for weight in layer.trainable_weights]
    return outputs, tape.gradient(loss, [x, *weights])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=len)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("scale", "center"), PARTS)
def test_equals_the_stock_layer_but_for_the_unbiased_moving_variance(
    dtype, shape, training, scale, center
):
    ours, stock = pair(
        shape, momentum=0.9, scale=scale, center=center, dtype=dtype
    )
    x = tf.constant(normal(*shape, dtype=dtype))
    upstream = normal(*shape[::-1], dtype=dtype).reshape(shape)
    before = ours.moving_variance.numpy()
    mine = step(ours, x, upstream, training)
    theirs = step(stock, x, upstream, training)
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    for a, b in zip(
        tf.nest.flatten(mine), tf.nest.flatten(theirs), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        ours.moving_mean.numpy(), stock.moving_mean.numpy(), rtol=tolerance
    )
    batch = np.var(x, axis=tuple(range(len(shape) - 1)), ddof=1)
    expected = 0.9 * before + 0.1 * batch if training else before
    np.testing.assert_allclose(
        ours.moving_variance.numpy(), expected, rtol=tolerance
    )
    biased = np.allclose(expected, stock.moving_variance.numpy(), rtol=1e-6)
    assert biased == (not training)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 3)], ids=len)
def test_mixed_precision_keeps_statistics_in_float32(policy, shape):
    ours, stock = pair(shape, momentum=0.9, dtype=policy)
    exact = pair(shape, momentum=0.9)[0]
    x = tf.cast(normal(*shape), policy.removeprefix("mixed_"))
    outputs = ours(x, training=True), stock(x, training=True)
    exact(tf.cast(x, "float32"), training=True)
    assert outputs[0].dtype == outputs[1].dtype == x.dtype
    assert ours(keras.Input(shape[1:])).dtype == x.dtype.name
    assert {weight.dtype for weight in ours.weights} == {"float32"}
    a, b = (tf.cast(output, "float32") for output in outputs)
    np.testing.assert_allclose(a, b, rtol=0.02, atol=0.02)
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(
            getattr(ours, name).numpy(), getattr(exact, name).numpy(), rtol=1e-5
        )
    still = ours(x, training=False), stock(x, training=False)
    a, b = (tf.cast(output, "float32") for output in still)
    np.testing.assert_allclose(a, b, rtol=0.02, atol=0.04)


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_weights_of_half_precision_take_the_plain_operations(policy):
    layer = BatchNormalization(dtype=policy)
    outputs = layer(normal(4, 3, 5, 3), training=True)
    assert outputs.dtype.name == policy
    assert np.isfinite(tf.cast(outputs, "float32")).all()


def kernels(layer, shape, training):
    function = tf.function(lambda x: layer(x, training=training))
    graph = function.get_concrete_function(tf.TensorSpec(shape, layer.dtype))
    return {operation.type for operation in graph.graph.get_operations()}


@pytest.mark.parametrize("training", [True, False])
def test_images_in_float32_take_the_fused_kernel(training):
    layer = BatchNormalization()
    layer.build((None, 4, 4, 3))
    assert "FusedBatchNormV3" in kernels(layer, (None, 4, 4, 3), training)
    plain = BatchNormalization(dtype="float64")
    plain.build((None, 4, 4, 3))
    found = kernels(plain, (None, 4, 4, 3), training)
    assert "FusedBatchNormV3" not in found


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 3)], ids=len)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jit_gives_the_same_step_and_statistics(shape, dtype):
    plain, jitted = (pair(shape, dtype=dtype)[0] for _ in range(2))
    x = tf.constant(normal(*shape, dtype=dtype))
    upstream = normal(*shape[::-1], dtype=dtype).reshape(shape)
    compiled = tf.function(
        lambda: step(jitted, x, upstream, True), jit_compile=True
    )
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    for a, b in zip(
        tf.nest.flatten(step(plain, x, upstream, True)),
        tf.nest.flatten(compiled()),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    for a, b in zip(plain.get_weights(), jitted.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 3)], ids=len)
def test_a_frozen_layer_normalises_by_its_moving_statistics(shape):
    ours, _ = pair(shape)
    x = normal(*shape)
    expected = ours(x, training=False)
    before = ours.get_weights()
    ours.trainable = False
    assert np.array_equal(ours(x, training=True), expected)
    for a, b in zip(before, ours.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 1, 3), (1, 1, 1, 3)], ids=str)
def test_tiny_batches_give_finite_statistics(shape):
    layer = BatchNormalization(momentum=0.0)
    x = normal(*shape)
    layer(x, training=True)
    freedom = 1 if np.prod(shape[:-1]) > 1 else 0
    expected = np.var(x.reshape(-1, 3), axis=0, ddof=freedom)
    np.testing.assert_allclose(
        layer.moving_variance.numpy(), expected, rtol=1e-4, atol=1e-6
    )


def test_another_axis_than_the_last_is_normalised():
    ours, stock = BatchNormalization(axis=1), STOCK(axis=1)
    x = normal(4, 3, 5, 2)
    for training in (True, False):
        a, b = ours(x, training=training), stock(x, training=training)
        np.testing.assert_allclose(a, b, rtol=1e-3)
    moving = 0.99 + 0.01 * np.var(x, axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(ours.moving_variance.numpy(), moving, rtol=1e-5)


def test_masked_steps_do_not_count():
    ours, stock = pair((2, 4, 3))
    x = normal(2, 4, 3)
    mask = np.array([[True, True, False, False], [True, False, False, False]])
    x[~mask] = 1e6
    for training in (True, False):
        a = ours(x, training=training, mask=mask)
        b = stock(x, training=training, mask=mask)
        np.testing.assert_allclose(a, b, rtol=1e-5)
    for a, b in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(("scale", "center"), PARTS)
def test_weights_load_from_a_stock_layer_and_back(scale, center, tmp_path):
    options = {"scale": scale, "center": center, "name": "norm"}
    models = [
        keras.Sequential([keras.Input((4, 4, 3)), layer(**options)])
        for layer in (BatchNormalization, STOCK)
    ]
    names = [[w.name for w in model.weights] for model in models]
    assert names[0] == names[1]
    x = normal(2, 4, 4, 3)
    for source, target in (models, models[::-1]):
        source(x, training=True)
        source.save_weights(tmp_path / "w.weights.h5")
        target.load_weights(tmp_path / "w.weights.h5")
        np.testing.assert_allclose(source(x), target(x), rtol=1e-5, atol=1e-6)


def test_saved_and_loaded_models_agree(tmp_path):
    layer = BatchNormalization(momentum=0.5, epsilon=1e-2, name="norm")
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    x = normal(2, 4, 4, 3)
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("norm")) is BatchNormalization
    assert loaded.get_layer("norm").get_config() == layer.get_config()
    assert np.array_equal(model(x), loaded(x))


def test_fit_updates_the_statistics():
    layer = BatchNormalization()
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layer, keras.layers.Flatten()]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = normal(8, 4, 4, 3)
    before = layer.get_weights()
    model.fit(x, np.zeros((8, 48)), verbose=0)
    for a, b in zip(before, layer.get_weights(), strict=True):
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("rank", [2, 4])
def test_synchronised_on_one_replica_equals_the_ordinary_layer(rank):
    shape = SHAPES[rank - 2]
    ordinary, synchronised = (
        pair(shape, synchronized=synchronized)[0]
        for synchronized in (False, True)
    )
    x = normal(*shape)
    a, b = ordinary(x, training=True), synchronised(x, training=True)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    for a, b in zip(
        ordinary.get_weights(), synchronised.get_weights(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)
