"""A dead branch goes away whole, whatever joins it to a live one."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
from planned import IMAGE, conv, rrelu

import rrelu_tf
from rrelu_tf.layers import ChannelGather

pytestmark = pytest.mark.usefixtures("float64")

BRANCH = ("before", "branch", "act")
GONE = dict.fromkeys(BRANCH)


def live_and_dead(slopes=(0, 0, 0, 0), filters=4):
    """(input, a live tensor, one of two convs and dead slopes)."""
    i = keras.Input(IMAGE)
    live = conv(i, filters, "stem", activation="tanh")
    x = conv(conv(live, 4, "before"), len(slopes), "branch")
    return i, live, rrelu(slopes)(x)


def gathers(model):
    return [x.name for x in model.layers if isinstance(x, ChannelGather)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "join",
    [
        lambda x: layers.Subtract(name="join")(x),
        lambda x: layers.Average(name="join")(x),
        lambda x: layers.Maximum(name="join")(x),
        lambda x: layers.Minimum(name="join")(x),
        lambda x: CustomScaleLayer(0.3, name="join")(x),
        lambda x: ops.subtract(*x),
        lambda x: ops.maximum(*x),
        lambda x: ops.minimum(*x),
    ],
)
def test_a_dead_branch_goes(join, order, finish, check):
    i, *both = live_and_dead()
    x = join([both[at] for at in order])
    check(finish(i, conv(x, 2, "b")), {"stem": 4, **GONE})


@pytest.mark.parametrize(
    "join",
    [
        lambda x, y: layers.Add()([x, y]),
        lambda x, y: layers.Subtract()([x, y]),
        ops.add,
        ops.subtract,
    ],
)
def test_a_block_becomes_its_skip(join, finish, check):
    i, live, dead = live_and_dead()
    x = join(live, dead)
    small = check(finish(i, conv(x, 2, "b")), {"stem": 4, **GONE})
    assert [layer.name for layer in small.layers][1:] == ["stem", "b"]


@pytest.mark.parametrize("join", [layers.Add, layers.Subtract])
@pytest.mark.parametrize("pool", [True, False])
def test_a_dead_branch_that_is_spread_goes(join, pool, finish, check):
    i, live, dead = live_and_dead()
    if pool:
        dead = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(dead)
    else:
        live = layers.Dense(1, name="one")(live)  # it is spread itself
    x = join(name="join")([live, dead])
    small = check(finish(i, conv(x, 2, "b")), {**GONE, "pool": None})
    assert len(gathers(small)) == (0 if pool else 1)


def test_a_factor_of_ones_goes(finish, check):
    i, live, dead = live_and_dead()
    x = layers.Multiply(name="join")([live, ops.exp(dead)])
    x = ops.divide(x, ops.cos(dead))
    small = check(finish(i, conv(x, 2, "b")), {**GONE, "join": None})
    assert [layer.name for layer in small.layers][1:] == ["stem", "b"]


@pytest.mark.parametrize("join", [layers.Multiply, layers.Average])
def test_a_branch_of_numbers_other_than_0_goes(join, finish, check):
    i, live, dead = live_and_dead()
    dead = layers.BatchNormalization(name="bn")(dead)
    x = join(name="join")([live, layers.Activation("sigmoid")(dead)])
    check(finish(i, conv(x, 2, "b")), {**GONE, "bn": None, "join": 4})


def test_a_dead_gate_silences_what_it_gates(finish, check):
    i, live, _ = live_and_dead()
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(live)
    gate = rrelu([0, 0, 0, 0], "gate")(layers.Dense(4, name="excite")(gate))
    gated = layers.Multiply(name="gated")([conv(live, 4, "x"), gate])
    gated = layers.BatchNormalization(name="bn")(conv(gated, 4, "y"))
    outputs = [
        conv(join([live, gated]), 2, f"out{n}")
        for n, join in enumerate(
            (layers.Add(), layers.Subtract(), layers.Maximum())
        )
    ]
    gone = ("pool", "excite", "gate", "x", "gated", "y", "bn")
    check(finish(i, outputs), {"stem": 4, **dict.fromkeys(gone)})


def test_where_all_is_dead_one_factor_gives_the_shape(finish, check):
    i, live, dead = live_and_dead()
    x = conv(layers.Multiply(name="join")([dead, live]), 2, "b")
    check(finish(i, x), {**GONE, "join": None, "b": 2})


def test_tied_channels_need_no_dead_branch(finish, gap):
    i, live, dead = live_and_dead()
    x = layers.Subtract(name="join")([dead, live])
    model = finish(i, conv(x, 2, "b"))
    small = rrelu_tf.strip(model, align="couple")
    assert gap(model, small) < 1e-12
    assert not {layer.name for layer in small.layers} & set(BRANCH)


def test_what_spreads_the_others_stays(finish, check):
    i, live, dead = live_and_dead()
    small = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(live)
    x = layers.Maximum(name="join")([small, dead])
    model = finish(i, conv(x, 2, "b"))
    assert check(model, {"act": 1}).get_layer("join").output.shape[1:3] == (
        6,
        5,
    )


def test_folding_makes_stock_layers_of_it(finish, gap):
    i, live, dead = live_and_dead()
    dead = layers.Activation("sigmoid")(dead)
    model = finish(i, conv(layers.Average(name="join")([dead, live]), 2, "b"))
    folded = rrelu_tf.fold(rrelu_tf.strip(model))
    assert gap(model, folded) < 1e-12
    assert not gathers(folded)


@pytest.mark.parametrize("batch", [1, 3])
def test_any_batch_of_images_of_any_size(batch, finish):
    i = keras.Input((None, None, 3))
    live = conv(i, 4, "stem")
    dead = rrelu([0, 0, 0, 0])(conv(live, 4, "branch"))
    x = layers.Average(name="join")([live, dead])
    model = finish(i, conv(x, 2, "b"))
    small = rrelu_tf.strip(model)
    assert "branch" not in {layer.name for layer in small.layers}
    images = np.random.default_rng(0).normal(size=(batch, 7, 4, 3))
    a, b = (np.asarray(m(images, training=False)) for m in (model, small))
    assert a.shape == b.shape
    assert np.abs(a - b).max() < 1e-12
