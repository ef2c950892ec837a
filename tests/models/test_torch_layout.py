"""PyTorch's names and axes of our weights."""

import keras
import numpy as np
import pytest

from rrelu_tf import models
from rrelu_tf.models import seed_weights, torch_layout


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_kernels_of_any_multiplier_have_pytorchs_axes(
    torch, multiplier
):
    keras.config.set_dtype_policy("float64")
    images = keras.Input((6, 5, 4), dtype="float64")
    layer = keras.layers.DepthwiseConv2D(
        3, depth_multiplier=multiplier, name="a_0"
    )
    model = keras.Model(images, layer(images))
    weight = torch.randn(4 * multiplier, 1, 3, 3, dtype=torch.float64)
    bias = torch.randn(4 * multiplier, dtype=torch.float64)
    arrays = {"a.0.weight": weight.numpy(), "a.0.bias": bias.numpy()}
    seed_weights.load_named(model, arrays, "npz=here")
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64)
    truth = torch.nn.functional.conv2d(x, weight, bias, groups=4)
    ours = np.asarray(model(x.permute(0, 2, 3, 1).numpy()))
    expected = truth.permute(0, 2, 3, 1).numpy()
    assert np.abs(ours - expected).max() < 1e-12
    for name, found in torch_layout.weights(model).items():
        assert found.shape == arrays[name].shape
        assert np.array_equal(found.array(), arrays[name])


def test_grouped_kernels_have_pytorchs_axes(torch):
    images = keras.Input((6, 5, 4))
    layer = keras.layers.Conv2D(6, (3, 2), groups=2, use_bias=False, name="a")
    model = keras.Model(images, layer(images))
    weight = torch.randn(6, 2, 3, 2)
    arrays = {"a.weight": weight.numpy()}
    seed_weights.load_named(model, arrays, "npz=here")
    x = torch.randn(2, 4, 6, 5)
    truth = torch.nn.functional.conv2d(x, weight, groups=2)
    ours = np.asarray(model(x.permute(0, 2, 3, 1).numpy()))
    assert np.abs(ours - truth.permute(0, 2, 3, 1).numpy()).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "theirs", "expected"),
    [
        ("resnet34", "linear.weight", "fc.weight"),
        (
            "resnet34",
            "layer2.0.shortcut.1.running_var",
            "layer2.0.downsample.1.running_var",
        ),
        ("resnet34", "fc.bias", "fc.bias"),
        ("resnet8_b", "linear.weight", "linear.weight"),
        (
            "resnet8_b",
            "layer2.0.shortcut.0.weight",
            "layer2.0.shortcut.0.weight",
        ),
        ("wrn_10_1", "block2.layer.0.c", "block2.0.rrelu2.a"),
        ("wrn_10_1", "block4.layer.0.c", "block4.layer.0.c"),  # no such stage
    ],
)
def test_authors_names_are_known_where_they_fit(name, theirs, expected):
    model = models.create(
        name, num_classes=2, input_shape=(8, 8, 3), activation="rrelu"
    )
    wanted = torch_layout.weights(model)
    assert torch_layout.ours(theirs, wanted) == expected
    assert (expected in wanted) == ("block4" not in expected)


def test_layers_whose_weights_have_no_name_are_told():
    images = keras.Input((6, 4))
    x = keras.layers.Conv1D(3, 2, name="sequence")(images)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    assert [x.name for x in torch_layout.nameless(model)] == ["sequence"]
