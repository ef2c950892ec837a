"""Convolutions, alone and behind rotated activations, equal Keras's."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.layers import (
    RGELU,
    Conv2D,
    DepthwiseConv2D,
    RReLU,
    RSiLU,
    ZeroPadding2D,
)
from rrelu_tf.layers.notes import Scaled

SHAPE = (2, 7, 6, 4)
SLOPES = [1.3, -0.7, 0.0, 1e-3]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "mixed_bfloat16": 0.04}
_strided = {
    "strides": 2,
    "padding": "same",
    "use_bias": True,
    "activation": "silu",
}
_conv = functools.partial(Conv2D, 8, 3, use_bias=False)
_depthwise = functools.partial(DepthwiseConv2D, 3, use_bias=False)
CONVS = {
    "Conv2D": _conv,
    "Conv2D, strides": functools.partial(_conv, **_strided),
    "Conv2D, dilated": functools.partial(_conv, dilation_rate=2),
    "Conv2D, grouped": functools.partial(_conv, groups=2),
    "DepthwiseConv2D": functools.partial(_depthwise, depth_multiplier=2),
    "DepthwiseConv2D, strides": functools.partial(_depthwise, **_strided),
    "DepthwiseConv2D, dilated": functools.partial(_depthwise, dilation_rate=2),
}


def chain(kind, dtype, fused=True, make=CONVS["Conv2D"], padded=False):
    """A rotated activation (None: nothing), padding, a conv: layers, call."""
    rotated = [] if kind is None else [kind(fused=fused, dtype=dtype)]
    pads = [ZeroPadding2D(((1, 2), (0, 1)), dtype=dtype)] if padded else []
    conv = make(fused=fused, dtype=dtype)
    stack = [*rotated, *pads, conv]
    for layer in stack:
        layer.build(SHAPE)
    for layer in rotated:
        layer.slope.assign(SLOPES)
    generator = np.random.default_rng(0)
    for weight in conv.weights:
        weight.assign(generator.normal(size=weight.shape))

    def call(x, training):
        for layer in stack:
            rotates = layer in rotated or layer is conv
            x = layer(x, **({"training": training} if rotates else {}))
        return x

    return stack, call


def step(stack, call, training=True):
    """Output and all gradients of one step."""
    dtype = stack[-1].compute_dtype
    generator = np.random.default_rng(1)
    x = tf.cast(generator.normal(0.4, 2.0, SHAPE), dtype)
    weights = [w.value for layer in stack for w in layer.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = call(x, training)
        upstream = tf.cos(tf.range(tf.size(outputs), dtype="float32"))
        upstream = tf.reshape(upstream, tf.shape(outputs))
        loss = tf.reduce_sum(outputs * tf.cast(upstream, dtype))
    return [outputs, *tape.gradient(loss, [x, *weights])]


def assert_near(some, others, tolerance):
    for a, b in zip(some, others, strict=True):
        a, b = (np.asarray(tf.cast(x, "float64")) for x in (a, b))
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * np.abs(b).max()
        )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", CONVS)
@pytest.mark.parametrize("kind", [None, RReLU])
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_a_step_equals_that_of_plain_layers(dtype, kind, make, training):
    results = [
        step(*chain(kind, dtype, fused, CONVS[make]), training)
        for fused in (True, False)
    ]
    assert_near(*results, TOLERANCE[dtype])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [RGELU, RSiLU])
def test_other_rotated_activations_give_their_slopes_as_well(
    kind, dtype, training
):
    results = [
        step(*chain(kind, dtype, fused), training) for fused in (True, False)
    ]
    assert_near(*results, TOLERANCE[dtype])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", CONVS)
@pytest.mark.parametrize("dtype", list(TOLERANCE))
def test_padding_between_them_changes_nothing(dtype, make, training):
    results = [
        step(*chain(RReLU, dtype, fused, CONVS[make], padded=True), training)
        for fused in (True, False)
    ]
    assert_near(*results, TOLERANCE[dtype])


def test_a_convolution_pads_by_itself_what_padding_read():
    stack, call = chain(RReLU, "float32", padded=True)
    forward = tf.function(lambda x: call(x, True))
    graph = forward.get_concrete_function(tf.zeros(SHAPE)).graph
    kinds = {operation.type for operation in needed(graph.outputs)}
    assert "Conv2D" in kinds
    assert not {"Pad", "PadV2"} & kinds


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_a_graph_gives_what_eager_steps_give(padded, jit_compile):
    chained = chain(RReLU, "float32", padded=padded)
    graph = tf.function(lambda: step(*chained), jit_compile=jit_compile)
    assert_near(graph(), step(*chained), 1e-5)


def test_other_readers_of_the_product_add_their_gradient():
    def twice(fused):
        stack, call = chain(RReLU, "float64", fused)
        (rotated, _), outer = stack, lambda x, training: call(x, training)

        def both(x, training):
            again = rotated(x, training=training)
            return outer(x, training) + again[:, 2:, 2:, :1] ** 2

        return step(stack, both)

    assert_near(twice(True), twice(False), 1e-12)


def test_second_derivatives_are_those_of_plain_layers():
    def second(fused):
        stack, call = chain(RReLU, "float64", fused)
        weights = [w.value for layer in stack for w in layer.weights]
        x = tf.random.stateless_normal(SHAPE, (1, 2), dtype="float64")
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(call(x, True) ** 3)
            norm = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(norm, weights)

    assert_near(second(True), second(False), 1e-9)


def needed(tensors):
    """Operations that a graph's tensors depend on."""
    found, left = {}, [tensor.op for tensor in tensors]
    while left:
        operation = left.pop()
        if operation.name not in found:
            found[operation.name] = operation
            left += [tensor.op for tensor in operation.inputs]
            left += operation.control_inputs
    return found.values()


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("make", ["Conv2D", "DepthwiseConv2D"])
def test_the_product_is_made_only_where_another_layer_reads_it(make, padded):
    def products(reader):
        stack, _ = chain(RReLU, "float32", make=CONVS[make], padded=padded)

        @tf.function
        def made(x):
            rotated = stack[0](x, training=True)
            read = [rotated + 1] if reader else []
            for layer in stack[1:-1]:
                rotated = layer(rotated)
            return [stack[-1](rotated, training=True), *read]

        graph = made.get_concrete_function(tf.zeros(SHAPE)).graph
        return sum(
            operation.type == "Mul" and operation.outputs[0].shape == SHAPE
            for operation in needed(graph.outputs)
        )

    assert products(reader=False) == 0
    assert products(reader=True) == 1


def test_the_kernels_gradient_comes_before_the_inputs():
    chained = chain(None, "float32")
    graph = tf.function(lambda: step(*chained)).get_concrete_function().graph
    found = {operation.type: operation for operation in graph.get_operations()}
    first = found["Conv2DBackpropFilter"]
    assert first in found["Conv2DBackpropInput"].control_inputs


def test_only_rotated_activations_in_training_leave_a_note():
    x = tf.ones(SHAPE)
    for training, fused in itertools.product((True, False), repeat=2):
        layer = RReLU(fused=fused)
        note = Scaled.of(layer(x, training=training))
        assert (note is not None) == (training and fused)


def test_a_gradient_by_the_product_lacks_what_convolutions_add():
    found = []
    for fused in (True, False):
        (rotated, conv), _ = chain(RReLU, "float32", fused)
        x = tf.random.stateless_normal(SHAPE, (1, 2))
        with tf.GradientTape() as tape:
            product = rotated(x, training=True)
            loss = tf.reduce_sum(conv(product, training=True))
        found.append(tape.gradient(loss, product))
    assert found[0] is None
    assert found[1].shape == SHAPE


@pytest.mark.parametrize("frozen", ["layer", "variable"])
@pytest.mark.parametrize("make", ["Conv2D", "DepthwiseConv2D"])
def test_a_frozen_kernel_has_no_gradient_computed(make, frozen):
    stack, call = chain(RReLU, "float32", make=CONVS[make])
    if frozen == "layer":
        stack[-1].trainable = False
    stack[-1].kernel.trainable = False
    graph = tf.function(lambda: step(stack, call))
    made = graph.get_concrete_function().graph
    kinds = {operation.type for operation in needed(made.outputs)}
    assert not any("BackpropFilter" in kind for kind in kinds)
    assert any("BackpropInput" in kind for kind in kinds)
    plain, call = chain(RReLU, "float32", False, CONVS[make])
    plain[-1].trainable = False
    assert_near(graph(), step(plain, call), 1e-5)


def test_padding_of_the_last_axis_is_a_product_of_its_own():
    rotated = RReLU(slope_initializer="ones")
    pad = ZeroPadding2D(1, data_format="channels_first")
    conv = Conv2D(5, 1)
    x = tf.random.stateless_normal(SHAPE, (1, 2))
    outputs = [conv(pad(rotated(x, training=t)), training=t) for t in (1, 0)]
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


def test_small_slopes_of_float16_are_not_rounded_into_the_kernel():
    stack, call = chain(RReLU, "mixed_float16")
    stack[0].slope.assign([1e-6] * 4)
    stack[1].kernel.assign(stack[1].kernel * 0.01)
    made, exact = (
        tf.cast(call(1e4 * tf.ones(SHAPE, "float16"), training), "float32")
        for training in (True, False)
    )
    np.testing.assert_allclose(made, exact, rtol=1e-2, atol=1e-6)


def test_a_subclass_of_another_operation_keeps_it_in_training():
    class Halved(Conv2D):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, kernel) / 2

    x = tf.ones(SHAPE)
    layer = Halved(3, 3)
    np.testing.assert_array_equal(
        layer(x, training=True), layer(x, training=False)
    )


@pytest.mark.parametrize("make", [_conv, _depthwise])
def test_configurations_have_fused_only_where_it_is_false(make):
    assert "fused" not in make().get_config()
    config = make(fused=False).get_config()
    assert config["fused"] is False
    assert make.func.from_config(config).fused is False


def test_a_saved_model_has_the_same_layers(tmp_path):
    stack = [RReLU(), ZeroPadding2D(1), Conv2D(3, 3), DepthwiseConv2D(2)]
    model = keras.Sequential([keras.Input(SHAPE[1:]), *stack])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    kinds = [type(layer) for layer in loaded.layers]
    assert kinds == [RReLU, ZeroPadding2D, Conv2D, DepthwiseConv2D]
    x = np.random.default_rng(0).normal(size=SHAPE)
    np.testing.assert_array_equal(model(x), loaded(x))
