"""OrthoReg against its plain formula and automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.regularizers import OrthoReg

NORMS = ("l1", "frobenius", "spectral")
# More filters than fan-in, fewer, and as many.
SHAPES = [(3, 3, 2, 5), (1, 1, 3, 8), (2, 2, 4)]


def draw(shape, dtype="float64"):
    return tf.constant(np.random.default_rng(0).normal(size=shape), dtype)


def rows(kernel, filters=(-1,)):
    """PyTorch's `weight.reshape(out, -1)`."""
    axes = [axis % len(kernel.shape) for axis in filters]
    others = [axis for axis in range(len(kernel.shape)) if axis not in axes]
    count = np.prod([kernel.shape[axis] for axis in axes])
    return tf.reshape(tf.transpose(kernel, axes + others), (count, -1))


def plain(w, norm="l1", transposed=None):
    if transposed is None:
        transposed = w.shape[0] > w.shape[1]
    g = tf.transpose(w) @ w if transposed else w @ tf.transpose(w)
    error = g - tf.eye(g.shape[0], dtype=g.dtype)
    if norm == "l1":
        return tf.reduce_sum(tf.abs(error))
    if norm == "frobenius":
        return tf.reduce_sum(error**2)
    return tf.reduce_max(tf.abs(tf.linalg.eigvalsh(error)))


def derivatives(penalty, kernel, direction):
    """Value, gradient, and second derivative along a direction."""
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        with tf.GradientTape() as inner:
            inner.watch(kernel)
            value = penalty(kernel)
        gradient = inner.gradient(value, kernel)
        along = tf.reduce_sum(gradient * direction)
    return value, gradient, outer.gradient(along, kernel)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_both_derivatives_are_those_of_the_formula(
    norm, shape, dtype
):
    kernel = draw(shape, dtype)
    direction = tf.ones(shape, dtype)
    found = derivatives(OrthoReg(1.0, norm=norm), kernel, direction)
    wanted = derivatives(lambda k: plain(rows(k), norm), kernel, direction)
    tolerance = {"float32": 1e-3, "float64": 1e-10}[dtype]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)


@pytest.mark.parametrize(
    ("side", "transposed"), [("filters", False), ("inputs", True)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_either_side_can_be_chosen(shape, side, transposed):
    kernel, ones = draw(shape), tf.ones(shape, "float64")
    found = derivatives(OrthoReg(1.0, side=side), kernel, ones)
    wanted = derivatives(
        lambda k: plain(rows(k), transposed=transposed), kernel, ones
    )
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("filters", [(-1,), (-2,), (-2, -1), (0, -1)])
def test_filters_may_lie_along_any_axes(filters):
    kernel = draw((3, 3, 4, 2))
    chosen = filters if len(filters) > 1 else filters[0]
    found = OrthoReg(1.0, filters=chosen)(kernel)
    np.testing.assert_allclose(found, plain(rows(kernel, filters)))


@pytest.mark.parametrize("filters", [-1, (-2, -1)])
def test_the_bias_is_one_more_column(filters):
    kernel = draw((3, 3, 4, 2))
    axes = filters if isinstance(filters, tuple) else (filters,)
    w = rows(kernel, axes)
    bias = draw((w.shape[0],))
    wanted = plain(tf.concat([w, bias[:, None]], axis=1))
    found = OrthoReg(1.0, filters=filters)(kernel, bias)
    np.testing.assert_allclose(found, wanted)


def test_the_subgradient_is_zero_where_a_product_is_as_wanted():
    kernel = tf.Variable(np.eye(4, 3))
    with tf.GradientTape() as tape:
        value = OrthoReg(1.0)(kernel)
    assert float(value) == 0
    np.testing.assert_array_equal(tape.gradient(value, kernel), 0)


def test_factor_and_weight_multiply():
    kernel = draw((3, 4))
    once = OrthoReg(1.0)(kernel)
    found = OrthoReg(0.5, weight=0.25)(kernel)
    np.testing.assert_allclose(found, once / 8)
    assert float(OrthoReg(0)(kernel)) == 0


@pytest.mark.parametrize(
    ("dtype", "computed", "tolerance"),
    [
        ("float64", "float64", 1e-12),
        ("float32", "float32", 1e-5),
        ("bfloat16", "float32", 1e-1),
        ("float16", "float32", 1e-2),
    ],
)
def test_narrow_floats_are_summed_in_float32(dtype, computed, tolerance):
    exact = OrthoReg(1.0)(draw((3, 3, 8, 8)))
    found = OrthoReg(1.0)(draw((3, 3, 8, 8), dtype))
    assert found.dtype == computed
    np.testing.assert_allclose(float(found), float(exact), rtol=tolerance)


@pytest.mark.parametrize("norm", NORMS)
def test_xla_and_graph_compute_the_same(norm):
    kernel, penalty = draw((3, 3, 2, 5), "float32"), OrthoReg(1.0, norm=norm)

    def both():
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            value = penalty(kernel)
        return value, tape.gradient(value, kernel)

    for options in ({}, {"jit_compile": True}):
        made = tf.function(both, autograph=False, **options)()
        for a, b in zip(made, both(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_what_it_stands_beside_is_added_and_not_scaled():
    kernel = draw((3, 4), "float32")
    beside = OrthoReg(0.5, weight=0.1, besides=keras.regularizers.L2(0.3))
    wanted = OrthoReg(0.5, weight=0.1)(kernel) + 0.3 * tf.reduce_sum(kernel**2)
    np.testing.assert_allclose(beside(kernel), wanted, rtol=1e-6)


def test_it_survives_serialisation():
    made = OrthoReg(
        0.1,
        weight=0.2,
        norm="spectral",
        side="inputs",
        filters=(-2, -1),
        besides="l2",
    )
    config = keras.regularizers.serialize(made)
    assert config["registered_name"] == "rrelu_tf>OrthoReg"
    again = keras.regularizers.deserialize(config)
    assert again.get_config() == made.get_config()
    kernel = draw((2, 2, 3, 2), "float32")
    assert float(again(kernel)) == float(made(kernel))


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"factor": -1e-2}, "factor=-0.01"),
        ({"factor": float("nan")}, "factor=nan"),
        ({"factor": "much"}, "factor=much"),
        ({"weight": -1}, "weight=-1"),
        ({"norm": "l2"}, "norm=l2"),
        ({"side": "rows"}, "side=rows"),
        ({"filters": "last"}, "filters=last"),
        ({"filters": ()}, r"filters=\(\)"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused(options, received):
    with pytest.raises(UserError, match=f"Received: {received}$"):
        OrthoReg(**options)


@pytest.mark.parametrize(
    ("shape", "filters"), [((4,), -1), ((4, 3), -3), ((4, 3), (-2, -1))]
)
def test_a_kernel_without_such_axes_is_refused(shape, filters):
    with pytest.raises(UserError, match="Received: filters="):
        OrthoReg(filters=filters)(draw(shape))
