"""Dead channels through every activation; softmax holds them back."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from planned import IMAGE, around, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import RGELU, RReLU, RSiLU

pytestmark = pytest.mark.usefixtures("float64")

ELEMENTWISE = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid"),
    *("hard_silu", "hard_tanh", "leaky_relu", "linear", "log_sigmoid"),
    *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink"),
    *("softplus", "softsign", "sparse_plus", "sparse_sigmoid"),
    *("squareplus", "tanh", "tanh_shrink"),
)


def test_f_of_a_dead_channel_is_a_number_that_goes(finish, check):
    i = keras.Input((3,))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    outputs = [
        layers.Dense(2)(layers.Activation(name, name=name)(x))
        for name in ELEMENTWISE
    ]
    check(
        finish(i, outputs), {"a": 2, "act": 2, **dict.fromkeys(ELEMENTWISE, 2)}
    )


def test_f_of_a_bias_is_a_number_that_goes(finish, check):
    i = keras.Input((3,))
    outputs = [
        layers.Dense(2)(layers.Dense(4, activation=name, name=name)(i))
        for name in ELEMENTWISE
    ]
    model = finish(i, outputs)
    for name in ELEMENTWISE:
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel.numpy() * [1, 0, 1, 0])
    check(model, dict.fromkeys(ELEMENTWISE, 2))


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
def test_functions_that_mix_channels_are_a_barrier(name, inside, finish, check):
    if inside:
        layer = layers.Dense(4, activation=name, name="x")
    else:
        layer = layers.Activation(name, name="x")
    i = keras.Input((3,))
    x = layer(rrelu([1, 0, 2, 0], "p")(layers.Dense(4, name="a")(i)))
    x = layers.Dense(2)(rrelu([1, 1, 0, 0], "q")(x))
    check(finish(i, x), {"a": 2, "p": 2, "x": 4, "q": 2})


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.ReLU(name="x"),
        lambda: layers.ReLU(1.0, 0.1, name="x"),
        lambda: layers.ReLU(negative_slope=0.1, threshold=0.3, name="x"),
        lambda: layers.LeakyReLU(name="x"),
        lambda: layers.ELU(name="x"),
        lambda: layers.PReLU(name="x"),
        lambda: layers.PReLU(shared_axes=[1, 2], name="x"),
        lambda: layers.PReLU(shared_axes=[3], name="x"),
        lambda: layers.Identity(name="x"),
        lambda: layers.Dropout(0.5, name="x"),
        lambda: layers.GaussianDropout(0.5, name="x"),
        lambda: layers.GaussianNoise(0.5, name="x"),
        lambda: layers.AlphaDropout(0.5, name="x"),
        lambda: layers.SpatialDropout2D(0.5, name="x"),
        lambda: layers.ActivityRegularization(name="x"),
        lambda: RReLU(name="x"),
        lambda: RGELU(name="x"),
        lambda: RSiLU(name="x"),
    ],
)
def test_activations_and_dropouts_let_dead_channels_through(
    layer, finish, check
):
    check(finish(*around(layer())), {"a": 2, "act": 2, "x": 2})


def test_noise_of_a_given_shape_may_count_the_channels(finish, check):
    layer = layers.Dropout(0.5, noise_shape=(None, 1, 1, 4), name="x")
    check(finish(*around(layer)), {"a": 2, "act": 2, "x": 4})


@pytest.mark.parametrize(
    "noise", [(None, 1, 1, 1), (None, None, 1, None), (2, 1, 1, 1)]
)
def test_noise_of_a_shape_that_counts_no_channels_is_no_barrier(
    noise, finish, check
):
    layer = layers.Dropout(0.5, noise_shape=noise, name="x")
    small = check(finish(*around(layer)), {"a": 2, "act": 2, "x": 2})
    assert small.get_layer("x").noise_shape == noise
    trained = small(np.ones((2, *IMAGE)), training=True)
    assert trained.shape == (2, *IMAGE[:2], 2)


def stochastic_depth(slopes):
    """A residual block whose branch is dropped by example."""
    i = keras.Input(IMAGE)
    skip = conv(i, 4, "stem")
    x = rrelu(slopes)(conv(skip, 4, "branch"))
    x = layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name="drop")(x)
    return i, conv(layers.Add(name="add")([x, skip]), 2, "b")


def test_a_dead_branch_of_stochastic_depth_becomes_its_skip(finish, check):
    gone = dict.fromkeys(("branch", "act", "drop", "add"))
    check(finish(*stochastic_depth([0, 0, 0, 0])), {"stem": 4, **gone})


def test_ties_pass_through_noise_of_a_shape(finish, gap):
    i, x = stochastic_depth([1, 0, 2, 0])
    model = finish(i, x)
    kernel = model.get_layer("stem").kernel
    kernel.assign(kernel.numpy() * [1, 0, 1, 1])
    model.get_layer("stem").bias.assign([0.5, 0.0, 0.5, 0.5])
    small = rrelu_tf.strip(model, align="couple")
    assert gap(model, small) < 1e-12
    for name in ("stem", "branch", "drop", "add"):
        assert small.get_layer(name).output.shape[-1] == 3


def test_softmax_is_a_barrier_that_frees_what_it_reads(finish, check):
    i = keras.Input(IMAGE)
    x = rrelu([1, 0, 2, 0], "p")(conv(i, 4, "a"))
    x = rrelu([1, 1, 0, 0], "q")(layers.Softmax(name="x")(x))
    check(finish(i, conv(x, 2, "b")), {"a": 2, "p": 2, "x": 4, "q": 2})


OPERATIONS = (
    *(ops.arctan, ops.arcsinh, ops.ceil, ops.copy, ops.cosh, ops.erfc),
    *(ops.exp2, ops.floor, ops.hard_shrink, ops.round, ops.sinc, ops.sinh),
    *(ops.soft_shrink, ops.sparse_plus, ops.sparse_sigmoid, ops.squareplus),
    *(ops.stop_gradient, ops.tan, ops.tanh_shrink, ops.trunc),
    lambda x: ops.cast(ops.cast(x, "float32"), "float64"),
    lambda x: ops.saturate_cast(ops.cast(x, "float32"), "float64"),
    lambda x: ops.threshold(x, 0.2, -0.5),
    lambda x: ops.power(x, 2),
    lambda x: ops.power(1.5, x),
    lambda x: ops.cbrt(ops.arccos(ops.tanh(x))),
    *(ops.abs, ops.celu, ops.cos, ops.elu, ops.erf, ops.exp, ops.expm1),
    *(ops.gelu, ops.hard_sigmoid, ops.hard_silu, ops.hard_tanh),
    *(ops.leaky_relu, ops.log_sigmoid, ops.negative, ops.relu, ops.relu6),
    *(ops.selu, ops.sigmoid, ops.sign, ops.silu, ops.sin, ops.softplus),
    *(ops.softsign, ops.square, ops.tanh),
    lambda x: ops.clip(x, -0.5, 0.5),
    lambda x: ops.clip(x, 0.25, 0.5),
    lambda x: ops.sqrt(ops.abs(x)),
    lambda x: ops.log1p(ops.square(x)),
)


def test_operations_on_one_tensor_let_dead_channels_through(finish, check):
    i = keras.Input((3,))
    x = rrelu([1, 0, 2, 0])(layers.Dense(4, name="a")(i))
    slopes = [0, 1, 1, 1]
    outputs = [
        layers.Dense(2)(rrelu(slopes, f"r{n}")(operation(x)))
        for n, operation in enumerate(OPERATIONS)
    ]
    widths = {f"r{n}": 1 for n in range(len(OPERATIONS))}
    check(finish(i, outputs), {"a": 1, "act": 1, **widths})


@pytest.mark.parametrize(
    "step", [ops.floor, ops.round, ops.sign, lambda x: ops.threshold(x, 0.5, 0)]
)
def test_no_number_but_0_is_put_on_a_side_of_a_step(step, finish, check):
    i, x = around(lambda x: step(ops.sigmoid(x)), (3,))
    check(finish(i, x), {"a": 2, "act": 2, "b": 2})


def test_integers_are_no_business_of_the_rule(finish, check):
    i, x = around(lambda x: ops.cast(ops.cast(x, "int32"), "float64"), (3,))
    check(finish(i, x), {"a": 2, "act": 2})


@pytest.mark.parametrize("operation", [ops.log, ops.reciprocal, ops.rsqrt])
def test_an_infinite_channel_is_computed(operation, finish):
    i, x = around(operation, (3,))
    small = rrelu_tf.strip(finish(i, x))
    assert small.get_layer("b").kernel.shape == (4, 2)


@pytest.mark.parametrize(
    "operation",
    [ops.softmax, ops.log_softmax, lambda x: ops.sum(x, -1)[:, None]],
)
def test_operations_that_mix_channels_are_a_barrier(operation, finish, check):
    check(finish(*around(operation, (3,))), {"a": 2, "act": 2, "b": 2})
