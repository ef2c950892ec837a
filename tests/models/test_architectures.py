"""Sizes, wiring and initial weights of the papers' networks."""

import math

import keras
import numpy as np
import pytest

from rrelu_tf import models
from rrelu_tf.layers import ChannelGather, Rotated

SLOW = pytest.mark.slow


def weights_and_flops(model):
    """Conv and linear weights, and 2 FLOPs for each multiplication."""
    weights = flops = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            size = math.prod(layer.kernel.shape)
            pixels = math.prod(layer.output.shape[1:-1])
            weights += size
            flops += 2 * size * pixels
    return weights, flops


@pytest.mark.parametrize(
    ("name", "weights", "flops"),
    [
        ("resnet20", 268_336, 81_102_080),
        ("wrn_16_4", 2_745_264, 785_224_704),
        ("resnet56", 848_944, 250_971_392),
        pytest.param("resnet110", 1_719_856, 505_775_360, marks=SLOW),
        pytest.param("wrn_40_4", 8_938_416, 2_597_164_032, marks=SLOW),
    ],
)
def test_sizes_equal_the_papers_to_the_unit(name, weights, flops):
    model = models.create(name, num_classes=10, activation="rrelu")
    assert weights_and_flops(model) == (weights, flops)


@pytest.mark.parametrize(
    ("name", "rotated", "plain"),
    [("resnet20", 270_394, 269_722), ("resnet56", 855_034, 853_018)],
)
def test_trainable_parameters_equal_the_papers(name, rotated, plain):
    for activation, expected in (("rrelu", rotated), ("relu", plain)):
        model = models.create(
            name, num_classes=10, activation=activation, input_shape=(8, 8, 3)
        )
        sizes = [math.prod(w.shape) for w in model.trainable_weights]
        assert sum(sizes) == expected


def test_fcnn_is_784_500_10():
    model = models.create(
        "fcnn", num_classes=10, input_shape=(28, 28, 1), activation="rrelu"
    )
    shapes = [tuple(weight.shape) for weight in model.weights]
    assert shapes == [(784, 500), (500,), (500,), (500, 10), (10,)]


def test_the_slopes_of_the_papers_networks():
    for name, total in (("resnet20", 672), ("wrn_16_4", 1552)):
        model = models.create(
            name, num_classes=2, input_shape=(8, 8, 3), activation="rrelu"
        )
        slopes = [x.slope for x in model.layers if isinstance(x, Rotated)]
        assert sum(slope.shape[0] for slope in slopes) == total


def reads(model, name):
    """Names of the layers whose outputs a layer reads."""
    tensors = keras.tree.flatten(model.get_layer(name).input)
    return [tensor._keras_history.operation.name for tensor in tensors]


def test_a_wide_transitions_shortcut_reads_the_activated_input():
    model = models.create(
        "wrn_16_2", num_classes=2, input_shape=(8, 8, 3), activation="rrelu"
    )
    for stage in (1, 2, 3):
        first = f"block{stage}_0"
        assert reads(model, f"{first}_shortcut") == [f"{first}_rrelu1"]
        assert reads(model, f"{first}_add") == [
            f"{first}_conv2",
            f"{first}_shortcut",
        ]
        # Within a stage the shortcut is the stream itself.
        assert reads(model, f"block{stage}_1_add") == [
            f"block{stage}_1_conv2",
            f"{first}_add",
        ]


def test_a_wide_networks_first_stage_has_no_shortcut_conv_at_equal_width():
    model = models.create("wrn_10_1", num_classes=2, input_shape=(8, 8, 3))
    names = [layer.name for layer in model.layers]
    assert "block1_0_shortcut" not in names
    assert "block2_0_shortcut" in names


def test_option_a_takes_every_second_pixel_between_zero_channels():
    model = models.create("resnet20", num_classes=2, input_shape=(8, 8, 3))
    gathers = [x for x in model.layers if isinstance(x, ChannelGather)]
    assert [gather.name for gather in gathers] == [
        "layer2_0_shortcut",
        "layer3_0_shortcut",
    ]
    stream = model.get_layer("layer1_2_rrelu2").output
    probe = keras.Model(model.input, [stream, gathers[0].output])
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    before, after = map(np.asarray, probe(x))
    expected = np.pad(before[:, ::2, ::2], [(0, 0)] * 3 + [(8, 8)])
    assert np.array_equal(after, expected)


def test_strided_convs_pad_one_pixel_on_all_sides():
    model = models.create("wrn_10_1", num_classes=2, input_shape=(9, 8, 3))
    conv = model.get_layer("block2_0_conv1")
    pad = model.get_layer("block2_0_conv1_pad")
    assert (conv.strides, conv.padding) == ((2, 2), "valid")
    assert pad.padding == ((1, 1), (1, 1))
    # Both paths halve odd sides alike, upwards.
    assert conv.output.shape == (None, 5, 4, 32)
    assert model.get_layer("block2_0_shortcut").output.shape == (None, 5, 4, 32)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (28, 28)])
@pytest.mark.parametrize("name", ["resnet20", "wrn_10_1"])
def test_odd_and_small_images_fit(name, size):
    model = models.create(name, num_classes=2, input_shape=(*size, 1))
    assert model.output_shape == (None, 2)


def moments(kernel):
    values = kernel.numpy().astype("float64")
    return values.mean(), values.std(), np.abs(values).max()


@pytest.mark.parametrize(
    ("name", "layer", "fan"),
    [
        ("resnet20", "layer2_0_conv1", 9 * 16),  # fan-in: 16 -> 32
        ("resnet20", "layer3_2_conv2", 9 * 64),
        ("wrn_10_2", "block2_0_conv1", 9 * 64),  # fan-out: 32 -> 64
        ("wrn_10_2", "block3_0_conv2", 9 * 128),
    ],
)
def test_kernels_begin_as_untruncated_kaiming_normals(name, layer, fan):
    model = models.create(name, num_classes=2, input_shape=(8, 8, 3))
    kernel = model.get_layer(layer).kernel
    mean, deviation, largest = moments(kernel)
    expected = math.sqrt(2 / fan)
    count = math.prod(kernel.shape)
    assert abs(mean) < 5 * expected / math.sqrt(count)
    assert deviation == pytest.approx(expected, rel=5 / math.sqrt(2 * count))
    # A truncated normal of this deviation ends at 2.27 of them.
    assert largest > 3 * expected


def test_linear_layers_begin_as_the_authors():
    many = 4000
    resnet = models.create("resnet20", num_classes=many, input_shape=(8, 8, 3))
    head = resnet.get_layer("linear")
    assert moments(head.kernel)[1] == pytest.approx(math.sqrt(2 / 64), rel=0.02)
    assert moments(head.kernel)[2] > 3 * math.sqrt(2 / 64)
    assert moments(head.bias)[2] == pytest.approx(1 / 8, rel=0.01)
    wide = models.create("wrn_10_1", num_classes=many, input_shape=(8, 8, 3))
    assert moments(wide.get_layer("fc").kernel)[2] == pytest.approx(
        1 / 8, rel=0.01
    )
    assert not np.any(wide.get_layer("fc").bias.numpy())
    fcnn = models.create("fcnn", num_classes=10, input_shape=(28, 28, 1))
    for name, fan in (("fc1", 784), ("fc2", 500)):
        for variable in fcnn.get_layer(name).weights:
            bound = fan**-0.5
            assert moments(variable)[2] <= bound * (1 + 1e-6)
            assert moments(variable)[2] > 0.8 * bound
