"""ImageNet's ResNets: sizes, wiring, initial weights."""

import json

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated

SLOW = pytest.mark.slow
IMAGENET = {"num_classes": 1000, "input_shape": (224, 224, 3)}


def build(name, **options):
    options = {"num_classes": 3, "input_shape": (8, 8, 3), **options}
    return models.create(name, **{"activation": "rrelu", **options})


def slopes(model):
    return [x for x in model.layers if isinstance(x, Rotated)]


# Parameters and GMACs (its "GFLOPs") as torchvision's documentation has them.
@pytest.mark.parametrize(
    ("name", "parameters", "giga"),
    [
        ("resnet18", 11_689_512, 1.814),
        ("resnet34", 21_797_672, 3.664),
        pytest.param("resnet50", 25_557_032, 4.089, marks=SLOW),
        pytest.param("resnet101", 44_549_160, 7.801, marks=SLOW),
        pytest.param("resnet152", 60_192_808, 11.514, marks=SLOW),
        pytest.param("wide_resnet50_2", 68_883_240, 11.398, marks=SLOW),
    ],
)
def test_sizes_are_the_public_ones(name, parameters, giga):
    profile = rrelu_tf.profile(build(name, activation="relu", **IMAGENET))
    assert profile.trainable_params == parameters
    assert round(profile.macs / 1e9, 3) == giga


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("resnet18", 2 * 2 * (64 + 128 + 256 + 512)),
        ("resnet34", 2 * (3 * 64 + 4 * 128 + 6 * 256 + 3 * 512)),
        ("resnet50", 22_656),
        pytest.param("resnet101", 22_656 + 17 * (2 * 256 + 1024), marks=SLOW),
        pytest.param(
            "resnet152",
            22_656 + 4 * (2 * 128 + 512) + 30 * (2 * 256 + 1024),
            marks=SLOW,
        ),
        pytest.param("wide_resnet50_2", 30_208, marks=SLOW),
    ],
)
def test_the_slopes_are_all_that_rotation_adds(name, total):
    rotated, plain = build(name), build(name, activation="relu")
    assert sum(x.slope.shape[0] for x in slopes(rotated)) == total
    assert not slopes(plain)
    shapes = [
        [
            (layer.name, [weight.shape for weight in layer.weights])
            for layer in model.layers
            if layer.weights and not isinstance(layer, Rotated)
        ]
        for model in (rotated, plain)
    ]
    assert shapes[0] == shapes[1]


def test_resnet50_has_the_papers_weights_and_multiplications():
    profile = rrelu_tf.profile(build("resnet50", **IMAGENET))
    assert profile.weights == 25_502_912
    assert profile.trainable_params == 25_557_032 + 22_656
    # Public, and 4.0892 in the facts: the stride is in the 3x3 convs.
    assert profile.macs == 4_089_184_256


def test_small_images_make_the_orthoreg_authors_resnet34():
    model = build(
        "resnet34",
        num_classes=100,
        input_shape=(32, 32, 3),
        activation="relu",
    )
    profile = rrelu_tf.profile(model)
    assert profile.trainable_params == 21_328_292
    assert profile.params - profile.trainable_params == 17_024
    assert profile.macs == 1_159_448_576
    assert model.get_layer("pool").input.shape == (None, 4, 4, 512)


def authors_list(shared):
    path = shared / "fixtures" / "rrelu" / "alive_lists.json"
    return next(
        x for x in json.loads(path.read_text()) if x["arch"] == "resnet50"
    )


def test_slope_vectors_are_as_long_as_the_authors_list(shared):
    record = authors_list(shared)
    widths = [layer.slope.shape[0] for layer in slopes(build("resnet50"))]
    assert record["slopes_total"] == sum(widths)
    # Theirs begins with the stem and ends with the classes.
    stem, *kept, classes = record["alive"]
    assert (stem, classes) == (64, 1000)
    for some, width in zip(kept, widths, strict=True):
        assert some <= width


@pytest.mark.parametrize(
    ("sides", "imagenet"),
    [((64, 64), False), ((5, 64), False), ((65, 64), True), ((17, 65), True)],
)
def test_the_longer_side_chooses_the_stem(sides, imagenet):
    model = build("resnet18", input_shape=(*sides, 3))
    names = {x.name for x in model.layers}
    stem = model.get_layer("conv1")
    if imagenet:
        assert (stem.kernel_size, stem.strides) == ((7, 7), (2, 2))
        assert model.get_layer("conv1_pad").padding == ((3, 3), (3, 3))
        assert model.get_layer("maxpool_pad").padding == ((1, 1), (1, 1))
        assert model.get_layer("maxpool").pool_size == (3, 3)
    else:
        assert (stem.kernel_size, stem.strides) == ((3, 3), (1, 1))
        assert not names & {"conv1_pad", "maxpool_pad", "maxpool"}


def test_names_with_dots_are_torchvisions():
    names = {x.name.replace("_", ".") for x in build("resnet50").layers}
    assert {"conv1", "bn1", "layer1.0.conv1", "layer4.2.bn3", "fc"} <= names
    for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        assert {
            f"layer{stage}.0.downsample.0",
            f"layer{stage}.0.downsample.1",
        } <= names
        assert f"layer{stage}.{blocks - 1}.conv3" in names
        assert f"layer{stage}.{blocks}.conv1" not in names
    basic = {x.name for x in build("resnet18").layers}
    assert "layer1_0_downsample_0" not in basic
    assert "layer2_0_downsample_0" in basic


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_only_the_stem_stays_plain(name):
    model = build(name, activation="rsilu")
    stock = [x for x in model.layers if type(x) is keras.layers.Activation]
    assert [x.name for x in stock] == ["relu"]
    assert stock[0].activation is keras.activations.silu
    # The outer activations are behind the Adds.
    adds = [x for x in model.layers if isinstance(x, keras.layers.Add)]
    for add in adds:
        readers = {node.operation for node in add._outbound_nodes}
        assert {type(x).__name__ for x in readers} == {"RSiLU"}


def test_models_survive_saving_and_loading(tmp_path):
    model = build("resnet18", input_shape=(65, 17, 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(1, 65, 17, 1)).astype("float32")
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    assert np.array_equal(model(x), loaded(x))


def test_weights_begin_as_torchvisions_with_imagenets_stem():
    model = build("resnet18", num_classes=500, input_shape=(65, 17, 3))
    for name, fan in (("layer2_0_conv1", 9 * 128), ("layer3_1_conv2", 9 * 256)):
        values = model.get_layer(name).kernel.numpy()
        expected = np.sqrt(2 / fan)
        assert values.std() == pytest.approx(expected, rel=0.02)
        assert np.abs(values).max() > 3 * expected  # not truncated
    for variable in model.get_layer("fc").weights:
        bound = 512**-0.5
        assert np.abs(variable.numpy()).max() == pytest.approx(bound, rel=0.05)


def test_weights_begin_as_orthoregs_with_cifars_stem():
    model = build("resnet18", num_classes=500)
    for name, fan_in in (
        ("conv1", 27),
        ("layer2_0_conv1", 9 * 64),
        ("layer2_0_downsample_0", 64),
        ("fc", 512),
    ):
        for variable in model.get_layer(name).weights:
            values = variable.numpy()
            bound = fan_in**-0.5  # PyTorch's default
            assert 0.95 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
            assert values.std() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"input_shape": (4, 8, 3)}, "input_shape=(4, 8, 3)"),
        ({"input_shape": (8, 1, 3)}, "input_shape=(8, 1, 3)"),
        ({"input_shape": (65, 16, 3)}, "input_shape=(65, 16, 3)"),
        ({"name": "resnet19"}, "name=resnet19"),
        ({"name": "wide_resnet50_3"}, "name=wide_resnet50_3"),
        ({"activation": "tanh"}, "activation=tanh"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(options, received):
    with pytest.raises(UserError) as caught:
        build(**{"name": "resnet18", **options})
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: {received}")
