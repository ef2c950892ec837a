"""What only a GPU can show of the layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf import models
from rrelu_tf.layers import (
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    RReLU,
    ZeroPadding2D,
)

pytestmark = pytest.mark.gpu
FILTERS = {Conv2D: {"filters": 8}, DepthwiseConv2D: {}}


@pytest.mark.parametrize("training", [True, False])
def test_the_fused_kernel_of_the_gpu_equals_that_of_the_cpu(training):
    x = np.random.default_rng(0).normal(1, 2, (8, 6, 6, 16)).astype("float32")
    results = []
    for device in ("/CPU:0", "/GPU:0"):
        with tf.device(device):
            layer = BatchNormalization(momentum=0.9, epsilon=1e-5)
            inputs = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs, training=training)
                loss = tf.reduce_sum(outputs**3)
            gradient = tape.gradient(loss, inputs)
        results.append([outputs, gradient, *layer.get_weights()])
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(cpu, gpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("behind_a_norm", [True, False])
def test_slopes_gradients_of_the_gpu_equal_those_of_the_cpu(behind_a_norm):
    x = np.random.default_rng(0).normal(1, 2, (8, 6, 6, 16)).astype("float32")
    results = []
    for device in ("/CPU:0", "/GPU:0"):
        keras.utils.set_random_seed(0)
        with tf.device(device):
            norm, rotated = BatchNormalization(), RReLU()
            inputs = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                read = norm(inputs, training=True) if behind_a_norm else inputs
                outputs = rotated(read, training=True)
                loss = tf.reduce_sum(outputs**3)
            sources = [inputs, rotated.slope.value]
            results.append([outputs, *tape.gradient(loss, sources)])
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(cpu, gpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("kind", [Conv2D, DepthwiseConv2D])
def test_convolutions_that_take_slopes_equal_those_of_the_cpu(kind, padded):
    x = np.random.default_rng(0).normal(1, 2, (8, 6, 6, 16)).astype("float32")
    results = []
    for device in ("/CPU:0", "/GPU:0"):
        keras.utils.set_random_seed(0)
        with tf.device(device):
            rotated, conv = RReLU(), kind(kernel_size=3, **FILTERS[kind])
            inputs = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = rotated(inputs, training=True)
                outputs = ZeroPadding2D(1)(outputs) if padded else outputs
                outputs = conv(outputs, training=True)
                loss = tf.reduce_sum(outputs**2)
            sources = [inputs, rotated.slope.value, conv.kernel.value]
            results.append([outputs, *tape.gradient(loss, sources)])
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(cpu, gpu, rtol=1e-3, atol=1e-2)


def test_a_mixed_float16_step_under_jit_trains_on_the_gpu():
    keras.config.set_dtype_policy("mixed_float16")
    model = models.create(
        "resnet20", num_classes=10, input_shape=(16, 16, 3), activation="rrelu"
    )
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 16, 16, 3)).astype("float32")
    y = generator.integers(10, size=64)
    history = model.fit(x, y, batch_size=32, epochs=5, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]
