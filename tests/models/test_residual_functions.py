"""The residual networks: what they compute, and what strip takes of them."""

import json

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.layers import ChannelGather, Rotated

SLOW = pytest.mark.slow
BASIC, BOTTLENECK = "preact_resnet20", "preact_resnet29"


def build(name, sides=(8, 8), num_classes=3, activation="rrelu"):
    return models.create(
        name,
        num_classes=num_classes,
        input_shape=(*sides, 3),
        activation=activation,
    )


def slopes(model):
    return [x for x in model.layers if isinstance(x, Rotated)]


# Forwards written out in numpy, after the facts and not after the library.


def conv(x, layer, stride=1):
    kernel = layer.kernel.numpy()
    size = kernel.shape[0]
    pad = (size // 2, size // 2)
    x = np.pad(x, [(0, 0), pad, pad, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    windows = windows[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel, optimize=True)


def norm(x, layer):
    gamma, beta, mean, variance = (w.numpy() for w in layer.weights)
    return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def rotated(x, layer):
    slope = layer.slope.numpy() if isinstance(layer, Rotated) else 1
    return slope * np.maximum(x, 0)


def preact_branch(x, get, name, convs, stride):
    strided = {2: 1, 3: 2}[convs]  # of a bottleneck the 3x3 conv
    for part in range(1, convs + 1):
        x = norm(x, get(f"{name}_bn{part}"))
        x = rotated(x, get(f"{name}_rrelu{part}"))
        x = conv(x, get(f"{name}_conv{part}"), stride if part == strided else 1)
    return x


def dense(x, layer):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def preact_basic(model, x, count):
    get = model.get_layer
    x = np.maximum(norm(conv(x, get("conv1")), get("bn1")), 0)
    for stage in (1, 2, 3):
        for block in range(count):
            name = f"layer{stage}_{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            skip = x
            if stride == 2:
                side = 4 * 2 ** (stage - 1)  # planes / 4 on each side
                skip = np.pad(x[:, ::2, ::2], [(0, 0)] * 3 + [(side, side)])
            x = preact_branch(x, get, name, 2, stride) + skip
    x = norm(x, get("bn"))  # and no ReLU
    return dense(x.mean((1, 2)), get("linear"))


def preact_bottleneck(model, x, count):
    get = model.get_layer
    x = conv(x, get("conv1"))
    for stage in (1, 2, 3):
        for block in range(count):
            name = f"layer{stage}_{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            skip = x
            if block == 0:
                skip = conv(x, get(f"{name}_downsample_0"), stride)
            x = preact_branch(x, get, name, 3, stride) + skip
    x = np.maximum(norm(x, get("bn")), 0)
    return dense(x.mean((1, 2)), get("fc"))


def wide(model, x, count):
    """A WRN: where the width changes, the shortcut reads what is activated."""
    get = model.get_layer
    x = conv(x, get("conv1"))
    for stage in (1, 2, 3):
        for number in range(count):
            name = f"block{stage}_{number}"
            stride = 2 if stage > 1 and number == 0 else 1
            active = rotated(norm(x, get(f"{name}_bn1")), get(f"{name}_rrelu1"))
            y = conv(active, get(f"{name}_conv1"), stride)
            y = rotated(norm(y, get(f"{name}_bn2")), get(f"{name}_rrelu2"))
            y = conv(y, get(f"{name}_conv2"))
            if stride > 1 or x.shape[-1] != y.shape[-1]:
                x = conv(active, get(f"{name}_shortcut"), stride)
            x = x + y
    x = np.maximum(norm(x, get("bn1")), 0)
    return dense(x.mean((1, 2)), get("fc"))


def stem(x, get, imagenet):
    if not imagenet:
        return np.maximum(norm(conv(x, get("conv1")), get("bn1")), 0)
    x = np.maximum(norm(conv(x, get("conv1"), 2), get("bn1")), 0)
    pad = [(0, 0), (1, 1), (1, 1), (0, 0)]
    x = np.pad(x, pad, constant_values=-np.inf)  # PyTorch's border
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    return windows[:, ::2, ::2].max((-2, -1))


def block(x, get, name, strides):
    """A post-activation block; `strides` of each conv of the branch."""
    y = x
    for part, stride in enumerate(strides, 1):
        y = norm(
            conv(y, get(f"{name}_conv{part}"), stride), get(f"{name}_bn{part}")
        )
        if part < len(strides):
            y = rotated(y, get(f"{name}_rrelu{part}"))
    stride = max(strides)
    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = conv(x, get(f"{name}_downsample_0"), stride)
        x = norm(x, get(f"{name}_downsample_1"))
    return rotated(x + y, get(f"{name}_rrelu{len(strides)}"))


def post_activation(model, x, counts, bottleneck, imagenet):
    get = model.get_layer
    x = stem(x, get, imagenet)
    for stage, count in enumerate(counts, 1):
        for number in range(count):
            stride = 2 if stage > 1 and number == 0 else 1
            strides = (1, stride, 1) if bottleneck else (stride, 1)
            x = block(x, get, f"layer{stage}_{number}", strides)
    return dense(x.mean((1, 2)), get("fc"))


def randomise(model, dead=0.0):
    """Weights and statistics none of which is special but the dead slopes."""
    generator = np.random.default_rng(7)
    for layer in model.layers:
        for variable in layer.weights:
            values = generator.uniform(0.4, 1.1, variable.shape)
            if "variance" not in variable.name:
                values *= generator.choice((-1.0, 1.0), variable.shape)
            if variable.name == "kernel":
                values /= np.sqrt(np.prod(variable.shape[:-1]))
            if variable.name == "slope":
                values *= generator.random(variable.shape) >= dead
            variable.assign(values)
    return model


@pytest.mark.parametrize(
    ("name", "forward", "count"),
    [
        (BASIC, preact_basic, 3),
        (BOTTLENECK, preact_bottleneck, 3),
        pytest.param("resnet110_preact", preact_basic, 18, marks=SLOW),
        pytest.param("resnet164_preact", preact_bottleneck, 18, marks=SLOW),
    ],
)
@pytest.mark.parametrize("sides", [(8, 8), (9, 6)])
def test_preact_nets_compute_what_is_written_out(name, forward, count, sides):
    keras.config.set_dtype_policy("float64")
    model = randomise(build(name, sides), dead=0.2)
    x = np.random.default_rng(0).normal(size=(2, *sides, 3))
    ours, theirs = np.asarray(model(x)), forward(model, x, count)
    assert np.abs(ours - theirs).max() <= 1e-10 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("wrn_16_1", 2),
        ("wrn_16_2", 2),
        pytest.param("wrn_16_4", 2, marks=SLOW),
        pytest.param("wrn_40_4", 6, marks=SLOW),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "rrelu"])
def test_wide_resnets_compute_what_is_written_out(name, count, activation):
    keras.config.set_dtype_policy("float64")
    model = build(name, (9, 6), activation=activation)
    randomise(model, dead=0.2)
    assert bool(slopes(model)) == (activation == "rrelu")
    x = np.random.default_rng(0).normal(size=(2, 9, 6, 3))
    ours, theirs = np.asarray(model(x)), wide(model, x, count)
    assert np.abs(theirs).max() > 0
    assert np.abs(ours - theirs).max() <= 1e-10 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("name", "sides", "counts"),
    [
        ("resnet18", (8, 11), (2, 2, 2, 2)),
        ("resnet18", (65, 34), (2, 2, 2, 2)),
        ("resnet34", (6, 8), (3, 4, 6, 3)),
        ("resnet50", (8, 8), (3, 4, 6, 3)),
        pytest.param("resnet50", (66, 33), (3, 4, 6, 3), marks=SLOW),
        pytest.param("wide_resnet50_2", (5, 8), (3, 4, 6, 3), marks=SLOW),
        pytest.param("resnet101", (5, 6), (3, 4, 23, 3), marks=SLOW),
        pytest.param("resnet152", (5, 6), (3, 8, 36, 3), marks=SLOW),
    ],
)
def test_imagenet_nets_compute_what_is_written_out(name, sides, counts):
    keras.config.set_dtype_policy("float64")
    model = randomise(build(name, sides), dead=0.2)
    x = np.random.default_rng(0).normal(size=(1, *sides, 3))
    bottleneck = name not in ("resnet18", "resnet34")
    theirs = post_activation(model, x, counts, bottleneck, max(sides) > 64)
    assert np.abs(theirs).max() > 0
    error = np.abs(np.asarray(model(x)) - theirs).max()
    assert error <= 1e-10 * np.abs(theirs).max()


def alive(model, name):
    return np.count_nonzero(model.get_layer(name).slope.numpy())


def widths(model):
    return {x.name: x.output.shape[-1] for x in model.layers}


@pytest.mark.parametrize(
    ("name", "convs"), [(BASIC, 2), (BOTTLENECK, 3)], ids=["basic", "deep"]
)
def test_strip_frees_the_inside_of_preact_blocks_and_no_stream(name, convs):
    keras.config.set_dtype_policy("float64")
    model = randomise(build(name), dead=0.5)
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small).dtype == "float64"
    before, after = widths(model), widths(small)
    for layer in slopes(model):
        block, part = layer.name.rsplit("_rrelu", 1)
        kept = alive(model, layer.name)
        assert 0 < kept < layer.slope.shape[0]
        assert after[layer.name] == after[f"{block}_bn{part}"] == kept
        reader = small.get_layer(f"{block}_conv{part}")
        assert reader.kernel.shape[2] == kept
        if int(part) > 1:  # an inner slope frees the filter before it, too
            assert after[f"{block}_conv{int(part) - 1}"] == kept
    stream = [
        x
        for x in before
        if x in ("conv1", "bn", "relu", "relu1")
        or x.endswith((f"conv{convs}", "downsample_0", "add"))
    ]
    assert len(stream) > 20
    assert {x: after[x] for x in stream} == {x: before[x] for x in stream}


def test_a_stripped_net_has_a_gather_where_a_first_slope_is_dead():
    model = build("preact_resnet8")
    slope = model.get_layer("layer2_0_rrelu1").slope
    slope.assign(np.arange(16) > 5)
    small = rrelu_tf.strip(model)
    before = {x.name for x in model.layers}
    gathers = [
        x
        for x in small.layers
        if isinstance(x, ChannelGather) and x.name not in before
    ]
    assert [x.indices for x in gathers] == [list(range(6, 16))]


@pytest.mark.parametrize(
    ("name", "sides", "convs"),
    [
        ("resnet18", (8, 8), 2),
        pytest.param("resnet34", (8, 8), 2, marks=SLOW),
        pytest.param("resnet50", (65, 33), 3, marks=SLOW),
    ],
)
def test_strip_cuts_branch_and_stream_of_imagenet_nets(name, sides, convs):
    keras.config.set_dtype_policy("float64")
    model = randomise(build(name, sides), dead=0.5)
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small).dtype == "float64"
    after = widths(small)
    for layer in slopes(model):
        block_name, part = layer.name.rsplit("_rrelu", 1)
        if int(part) < convs:  # inside: the filter before, the input behind
            kept = alive(model, layer.name)
            assert 0 < kept < layer.slope.shape[0]
            assert after[layer.name] == after[f"{block_name}_conv{part}"]
            assert after[layer.name] == kept
            reader = small.get_layer(f"{block_name}_conv{int(part) + 1}")
            assert reader.kernel.shape[2] == kept
    # Behind an Add: the last block's branch, and the shortcuts' filters.
    last = [x.name for x in slopes(model)][-1]
    ending = last.replace("_rrelu", "_conv")
    assert after[ending] == after[last] == alive(model, last)
    assert small.get_layer("fc").kernel.shape[0] == alive(model, last)
    for stage in (2, 3, 4):
        shortcut = after[f"layer{stage}_0_downsample_0"]
        assert 0 < shortcut <= alive(model, f"layer{stage}_0_rrelu{convs}")
    assert after["conv1"] == 64  # the stem is always read


@SLOW
@pytest.mark.parametrize(
    ("name", "side", "convention"),
    [
        ("resnet110_preact", 32, slice(None)),
        ("resnet164_preact", 32, slice(None)),
        ("resnet50", 224, slice(1, -1)),  # without the stem and the classes
    ],
)
def test_the_authors_lists_save_what_may_really_go(
    name, side, convention, shared
):
    path = shared / "fixtures" / "rrelu" / "alive_lists.json"
    records = [x for x in json.loads(path.read_text()) if x["arch"] == name]
    assert records
    for record in records:
        model = build(name, (side, side), record["num_classes"])
        counts = record["alive"][convention]
        for layer, count in zip(slopes(model), counts, strict=True):
            layer.slope.assign(np.arange(layer.slope.shape[0]) < count)
        before = rrelu_tf.profile(model)
        after = rrelu_tf.profile(rrelu_tf.strip(model))
        savings = {
            "memory": 100 * (1 - after.weights / before.weights),
            "flops": 100 * (1 - after.flops / before.flops),
        }
        expected = record["exact_saving_percent"]
        assert savings == pytest.approx(expected, abs=0.01)
