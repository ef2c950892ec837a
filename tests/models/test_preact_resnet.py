"""Pre-activation ResNets: sizes, wiring, initial weights."""

import functools
import json
import math

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated

SLOW = pytest.mark.slow
BASIC, BOTTLENECK = "preact_resnet20", "preact_resnet29"


def build(name, **options):
    options = {"num_classes": 3, "input_shape": (8, 8, 3), **options}
    return models.create(name, **{"activation": "rrelu", **options})


@functools.cache
def whole(name):
    """A network of the paper; shared, so it must not be changed."""
    return build(name, num_classes=10, input_shape=(32, 32, 3))


def slopes(model):
    return [x for x in model.layers if isinstance(x, Rotated)]


def records(shared, name):
    path = shared / "fixtures" / "rrelu" / "alive_lists.json"
    found = [x for x in json.loads(path.read_text()) if x["arch"] == name]
    assert found
    return found


def count(variables):
    return sum(math.prod(variable.shape) for variable in variables)


@pytest.mark.parametrize(
    ("name", "weights", "flops", "slope_count", "norm_channels"),
    [
        # The stem's 16 and the last 64 channels besides the slopes'.
        ("resnet110_preact", 1_719_856, 505_775_360, 3984, 3984 + 16 + 64),
        # 41,984 of the weights are the shortcuts', which the paper omits.
        (
            "resnet164_preact",
            1_637_040 + 41_984,
            495_293_440,
            11_856,
            11_856 + 256,
        ),
    ],
)
def test_sizes_equal_the_papers_to_the_unit(
    name, weights, flops, slope_count, norm_channels
):
    model = whole(name)
    profile = rrelu_tf.profile(model)
    assert (profile.weights, profile.flops) == (weights, flops)
    assert count(x.slope for x in slopes(model)) == slope_count
    plain = weights + 10 + 2 * norm_channels
    assert profile.trainable_params == plain + slope_count


def test_resnet164s_flops_differ_from_the_papers_by_what_it_omits():
    model = whole("resnet164_preact")
    layers = {x.key: x for x in rrelu_tf.profile(model).layers}
    shortcuts = [x for key, x in layers.items() if "downsample" in key]
    assert sum(x.weights for x in shortcuts) == 41_984
    # The paper counts each stage's convs at the stage's resolution; its first
    # 1x1 conv still sees four times the pixels.
    early = [layers["layer2_0_conv1"], layers["layer3_0_conv1"]]
    omitted = sum(x.macs for x in shortcuts) + sum(x.macs for x in early) * 0.75
    assert 495_293_440 - 2 * omitted == 478_516_224


@pytest.mark.parametrize("name", ["resnet110_preact", "resnet164_preact"])
def test_slope_vectors_are_as_long_as_the_authors_lists(name, shared):
    lengths = [layer.slope.shape[0] for layer in slopes(whole(name))]
    for record in records(shared, name):
        assert record["slopes_total"] == sum(lengths)
        assert len(record["alive"]) == len(lengths)
        for alive, length in zip(record["alive"], lengths, strict=True):
            assert alive <= length


@pytest.mark.parametrize("name", [BASIC, BOTTLENECK])
def test_a_plain_net_has_the_same_weights_but_for_the_slopes(name):
    rotated, plain = build(name), build(name, activation="relu")
    assert not slopes(plain)
    assert [
        (layer.name, [weight.shape for weight in layer.weights])
        for layer in rotated.layers
        if layer.weights and not isinstance(layer, Rotated)
    ] == [
        (layer.name, [weight.shape for weight in layer.weights])
        for layer in plain.layers
        if layer.weights
    ]


@pytest.mark.parametrize(
    ("name", "convs", "blocks"),
    [
        ("preact_resnet8", 2, 3),
        ("preact_resnet26", 2, 12),
        ("preact_resnet11", 3, 3),
        ("preact_resnet29", 3, 9),
        ("preact_resnet20", 2, 9),  # both kinds fit from here on
        ("preact_resnet38", 2, 18),
        ("resnet110_preact", 2, 54),
        ("resnet164_preact", 3, 54),
        pytest.param("preact_resnet110", 2, 54, marks=SLOW),
        pytest.param("preact_resnet164", 3, 54, marks=SLOW),
        pytest.param("preact_resnet182", 3, 60, marks=SLOW),
    ],
)
def test_the_depth_says_which_blocks(name, convs, blocks):
    model = whole(name)
    adds = [x for x in model.layers if isinstance(x, keras.layers.Add)]
    assert (len(adds), len(slopes(model))) == (blocks, convs * blocks)
    deep = [
        x
        for x in model.layers
        if isinstance(x, (keras.layers.Conv2D, keras.layers.Dense))
        and "downsample" not in x.name
    ]
    assert len(deep) == convs * blocks + 2
    assert int("".join(filter(str.isdigit, name))) == len(deep)


@pytest.mark.parametrize(
    ("name", "plain"), [(BASIC, "relu1"), (BOTTLENECK, "relu")]
)
def test_one_activation_stays_plain(name, plain):
    for activation, function in (("rrelu", "relu"), ("rsilu", "silu")):
        model = build(name, activation=activation)
        stock = [x for x in model.layers if type(x) is keras.layers.Activation]
        assert [x.name for x in stock] == [plain]
        assert stock[0].activation is keras.activations.get(function)


def test_names_with_dots_are_pytorchs():
    basic = {x.name.replace("_", ".") for x in build(BASIC).layers}
    deep = {x.name.replace("_", ".") for x in build(BOTTLENECK).layers}
    assert {"conv1", "bn1", "layer1.0.bn1", "layer3.2.conv2", "bn"} <= basic
    assert {"linear", "layer2.0.shortcut"} <= basic
    assert {"conv1", "layer1.0.bn1", "layer3.2.conv3", "bn", "fc"} <= deep
    assert "layer1.0.downsample.0" in deep
    assert "bn1" not in deep


@pytest.mark.parametrize("name", ["preact_resnet8", "preact_resnet11"])
def test_models_survive_saving_and_loading(name, tmp_path):
    model = build(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    assert np.array_equal(model(x), loaded(x))


@pytest.mark.parametrize(
    ("name", "layer", "fan"),
    [
        (BASIC, "layer2_0_conv1", 9 * 16),  # fan-in: 16 -> 32
        (BASIC, "linear", 64),
        (BOTTLENECK, "layer2_0_conv2", 9 * 32),  # fan-out
        (BOTTLENECK, "layer3_0_conv3", 256),  # fan-out: 64 -> 256
        (BOTTLENECK, "layer2_0_downsample_0", 128),
    ],
)
def test_kernels_begin_as_untruncated_kaiming_normals(name, layer, fan):
    values = build(name, num_classes=500).get_layer(layer).kernel.numpy()
    expected = math.sqrt(2 / fan)
    assert abs(values.mean()) < 5 * expected / math.sqrt(values.size)
    assert values.std() == pytest.approx(
        expected, rel=5 / math.sqrt(2 * values.size)
    )
    # A truncated normal of this deviation ends at 2.27 of them.
    assert np.abs(values).max() > 3 * expected


def test_norms_and_heads_begin_as_the_authors():
    for name, scale in ((BASIC, 1.0), (BOTTLENECK, 0.5)):
        norms = [
            x
            for x in build(name, sync_batch_norm=True).layers
            if isinstance(x, keras.layers.BatchNormalization)
        ]
        for layer in norms:
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
            assert layer.synchronized
            assert np.all(layer.gamma.numpy() == scale)
            assert not np.any(layer.beta.numpy())
    many = 4000
    bias = build(BASIC, num_classes=many).get_layer("linear").bias.numpy()
    assert np.abs(bias).max() == pytest.approx(1 / 8, rel=0.01)
    head = build(BOTTLENECK, num_classes=many).get_layer("fc")
    for variable in (head.kernel, head.bias):
        assert np.abs(variable.numpy()).max() == pytest.approx(1 / 16, rel=0.01)


@pytest.mark.parametrize("size", [(4, 4), (5, 7)])
@pytest.mark.parametrize("name", ["preact_resnet8", "preact_resnet11"])
def test_odd_and_small_images_fit(name, size):
    model = build(name, input_shape=(*size, 1))
    outputs = model(np.zeros((2, *size, 1), "float32"))
    assert outputs.shape == (2, 3)
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize(
    ("name", "options", "received"),
    [
        ("preact_resnet2", {}, "name=preact_resnet2"),
        ("preact_resnet0", {}, "name=preact_resnet0"),
        ("preact_resnet21", {}, "name=preact_resnet21"),
        ("preact_resnet", {}, "name=preact_resnet"),
        ("resnet109_preact", {}, "name=resnet109_preact"),
        (BASIC, {"input_shape": (3, 8, 3)}, "input_shape=(3, 8, 3)"),
        (BOTTLENECK, {"input_shape": (8, 3, 3)}, "input_shape=(8, 3, 3)"),
        (BASIC, {"activation": "tanh"}, "activation=tanh"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(name, options, received):
    with pytest.raises(UserError) as caught:
        build(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: {received}")
