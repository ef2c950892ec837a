"""Fused layers equal plain ones; the plain are `fused=False`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.layers import RGELU, BatchNormalization, RReLU, RSiLU

KINDS = (RReLU, RGELU, RSiLU)
SHAPE = (4, 3, 5, 6)
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "mixed_bfloat16": 0.04}


def chain(kind, normalized, fused, dtype, second_reader=False):
    """Norm, or something else, and a rotated activation: layers, function."""
    norm = BatchNormalization(momentum=0.9, fused=fused, dtype=dtype)
    rotated = kind(fused=fused, dtype=dtype)
    norm.build(SHAPE)
    rotated.build(SHAPE)
    generator = np.random.default_rng(0)
    for weight in norm.weights:
        weight.assign(generator.uniform(0.5, 2.0, 6))
    rotated.slope.assign([1.3, -0.7, 0.0, 1e-3, -1.0, 2.0])

    def call(x, training):
        inner = norm(x, training=training)
        read = inner if normalized else inner + 1
        outputs = rotated(read, training=training)
        return outputs + inner**2 if second_reader else outputs

    return [norm, rotated], call


def step(layers, call, training):
    """Output and all gradients of one step."""
    dtype = layers[0].compute_dtype
    generator = np.random.default_rng(1)
    x = tf.cast(generator.normal(0.4, 2.0, SHAPE), dtype)
    upstream = tf.cast(generator.normal(size=SHAPE), dtype)
    weights = [w.value for layer in layers for w in layer.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = call(x, training)
        loss = tf.reduce_sum(outputs * upstream)
    return [outputs, *tape.gradient(loss, [x, *weights])]


def numbers(tensors):
    return [np.asarray(tf.cast(tensor, "float64")) for tensor in tensors]


def assert_near(some, others, tolerance):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * np.abs(b).max()
        )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fused_step_equals_the_plain_one(kind, normalized, dtype, training):
    results = []
    for fused in (True, False):
        layers, call = chain(kind, normalized, fused, dtype)
        made = numbers(step(layers, call, training))
        moving = numbers(w.value for w in layers[0].non_trainable_weights)
        results.append(made + moving)
    assert_near(*results, TOLERANCE[dtype])


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_a_graph_gives_what_eager_steps_give(normalized, jit_compile):
    layers, call = chain(RReLU, normalized, True, "float32")
    expected = numbers(step(layers, call, True))
    layers, call = chain(RReLU, normalized, True, "float32")
    graph = tf.function(
        lambda: step(layers, call, True), jit_compile=jit_compile
    )
    assert_near(numbers(graph()), expected, 1e-5)


def test_another_reader_of_the_norm_adds_its_gradient():
    results = [
        numbers(step(*chain(RReLU, True, fused, "float32", True), True))
        for fused in (True, False)
    ]
    assert_near(*results, 1e-5)


def test_what_lies_between_norm_and_slope_has_its_gradient():
    (norm, rotated), _ = chain(RReLU, True, True, "float32")
    x = tf.random.stateless_normal(SHAPE, (1, 2))
    with tf.GradientTape() as tape:
        normalized = norm(x, training=True)
        loss = tf.reduce_sum(rotated(normalized, training=True))
    found = tape.gradient(loss, normalized)
    expected = rotated.slope * tf.cast(normalized > 0, "float32")
    assert_near(numbers([found]), numbers([expected]), 1e-6)


def test_second_derivatives_are_those_of_plain_layers():
    results = []
    for fused in (True, False):
        layers, call = chain(RReLU, True, fused, "float32")
        x = tf.random.stateless_normal(SHAPE, (1, 2))
        slope, gamma = layers[1].slope.value, layers[0].gamma.value
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(call(x, True) ** 3)
            first = inner.gradient(loss, x)
            norm = tf.reduce_sum(first**2)
        results.append(numbers(outer.gradient(norm, [slope, gamma])))
    assert_near(*results, 1e-4)


def test_one_kernel_makes_both_gradients_of_a_product():
    def operations(fused):
        chained = chain(RReLU, False, fused, "float32")
        graph = tf.function(lambda: step(*chained, True))
        made = graph.get_concrete_function().graph.get_operations()
        return [operation.type for operation in made]

    assert operations(True).count("FusedBatchNormGradV3") == 1 + 1
    assert "FusedBatchNormV3" not in operations(False)


def test_frozen_norms_and_slopes_stay_as_they_are():
    results = []
    for fused in (True, False):
        layers, call = chain(RReLU, True, fused, "float32")
        for layer in layers:
            layer.trainable = False
        before = [w.numpy() for layer in layers for w in layer.weights]
        results.append(numbers(step(layers, call, True)))
        after = [w.numpy() for layer in layers for w in layer.weights]
        assert all(map(np.array_equal, before, after))
    assert_near(*results, 1e-5)


@pytest.mark.parametrize("kind", [*KINDS, BatchNormalization])
def test_only_plain_layers_say_so_in_their_configuration(kind):
    assert "fused" not in kind().get_config()
    config = kind(fused=False).get_config()
    assert config["fused"] is False
    assert kind.from_config(config).fused is False
    assert kind.from_config(kind().get_config()).fused


def test_layers_of_ranks_without_a_kernel_train():
    for shape in ((3,), (5, 3), (2, 2, 2, 3)):
        layers = [keras.Input(shape), BatchNormalization(), RReLU()]
        model = keras.Sequential([*layers, keras.layers.Flatten()])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        before = model.layers[1].slope.numpy()
        x = np.random.default_rng(0).normal(size=(8, *shape))
        model.fit(x, np.zeros((8, np.prod(shape))), verbose=0)
        assert np.all(model.layers[1].slope.numpy() != before)
