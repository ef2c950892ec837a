"""Coupled weight decay as Keras runs it: compiled, saved, loss-scaled."""

import keras
import numpy as np
import pytest

from rrelu_tf.layers import BatchNormalization, RReLU
from rrelu_tf.training import optimizers


def model_and_data():
    """A net with kernels, biases, gammas, betas and slopes; four batches."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(16, 6, 6, 2)).astype("float32")
    y = rng.integers(0, 3, 16)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            BatchNormalization(),
            RReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    return model, x, y


def compiled(optimizer, **options):
    model, x, y = model_and_data()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"jit_compile": False} | options
    model.compile(optimizer, loss, **options)
    return model, x, y


def train(model, x, y, first=0, last=16):
    for at in range(first, last, 4):
        model.train_on_batch(x[at : at + 4], y[at : at + 4])


def values(variables):
    return [v.numpy() for v in variables]


def test_slopes_gammas_betas_and_biases_decay_too():
    decay, rate = 0.25, 0.5
    runs = []
    for weight_decay in (0.0, decay):
        keras.utils.set_random_seed(3)
        model, x, y = compiled(
            optimizers.create(
                "sgd", rate, momentum=0, weight_decay=weight_decay
            )
        )
        for weight in model.trainable_weights:
            if "beta" in weight.path or "bias" in weight.path:
                weight.assign_add(keras.ops.ones_like(weight))
        start = values(model.trainable_weights)
        train(model, x, y, last=4)
        runs.append(values(model.trainable_weights))
    names = [w.path.split("/")[-1] for w in model.trainable_weights]
    assert sorted(names) == [
        "beta",
        "bias",
        "gamma",
        "kernel",
        "kernel",
        "slope",
    ]
    for plain, decayed, before in zip(*runs, start, strict=True):
        np.testing.assert_allclose(
            plain - decayed, rate * decay * before, atol=1e-6
        )


# Keras converts its variables to numpy by a protocol that numpy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_saved_optimizer_goes_on_bit_for_bit(name, tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1, 2], [0.1, 0.03, 0.007]
    )
    model, x, y = compiled(optimizers.create(name, schedule, weight_decay=1e-2))
    train(model, x, y, last=8)
    model.save(tmp_path / "half.keras")
    train(model, x, y, first=8)
    resumed = keras.models.load_model(tmp_path / "half.keras")
    assert type(resumed.optimizer) is type(model.optimizer)
    resumed.jit_compile = False
    half = values(resumed.weights)
    train(resumed, x, y, first=8)
    for a, b in zip(
        values(model.weights + model.optimizer.variables),
        values(resumed.weights + resumed.optimizer.variables),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    for before, after in zip(half, values(model.weights), strict=True):
        assert (before != after).any()


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_compiled_step_equals_a_plain_one(name):
    runs = []
    for jit in (False, True):
        keras.utils.set_random_seed(5)
        model, x, y = compiled(
            optimizers.create(name, 0.01, weight_decay=1e-2), jit_compile=jit
        )
        train(model, x, y)
        runs.append(values(model.trainable_weights))
    for plain, compiled_ in zip(*runs, strict=True):
        np.testing.assert_allclose(plain, compiled_, atol=2e-4)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_loss_scaling_changes_nothing_in_float32(name):
    runs = []
    for wrap in (lambda o: o, keras.optimizers.LossScaleOptimizer):
        keras.utils.set_random_seed(5)
        model, x, y = compiled(
            wrap(optimizers.create(name, 0.01, weight_decay=1e-1))
        )
        train(model, x, y)
        runs.append(values(model.trainable_weights))
    for plain, scaled in zip(*runs, strict=True):
        np.testing.assert_allclose(plain, scaled, atol=1e-5)


def test_mixed_precision_keeps_float32_weights_and_trains():
    keras.config.set_dtype_policy("mixed_float16")
    model, x, y = compiled(optimizers.create("sgd", 0.05, weight_decay=1e-3))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    start = values(model.trainable_weights)
    train(model, x, y)
    assert {v.dtype for v in model.trainable_weights} == {"float32"}
    for before, after in zip(
        start, values(model.trainable_weights), strict=True
    ):
        assert np.isfinite(after).all()
        assert (before != after).any()
