"""The authors' FLOPs, as their tool and a later version of it print them."""

import keras
import pytest
from keras import layers

from rrelu_tf import models
from rrelu_tf.analysis import profile, ptflops
from rrelu_tf.errors import UserError


# Measured on the authors' PyTorch nets with 100 classes.
@pytest.mark.parametrize(
    "name, macs, pinned, later",
    [
        ("vgg13", 228_313_088, 229_437_440, 229_812_324),
        ("mobilenet_v1", 46_446_592, 47_269_888, 47_685_732),
        ("resnet34", 1_159_448_576, 1_161_496_576, 1_162_471_524),
        ("resnet56_b", 125_753_600, 126_843_136, 127_379_812),
    ],
)
def test_the_authors_nets_count_to_the_unit(name, macs, pinned, later):
    with keras.StatelessScope(initialize_variables=False):
        model = models.create(name, num_classes=100, activation="relu")
        assert profile(model).macs == macs
        assert ptflops(model, "0.6.2") == pinned
        assert ptflops(model, "0.7.5") == later


def test_rotated_activations_count_as_plain_ones():
    with keras.StatelessScope(initialize_variables=False):
        model = models.create("resnet56_b", num_classes=100, activation="rrelu")
        assert ptflops(model, "0.7.5") == 127_379_812


@pytest.mark.parametrize(
    "layer, modules, functions",
    [
        (layers.ReLU(), {"0.6.2": 48, "0.7.5": 96}, {"0.6.2": 0, "0.7.5": 48}),
        (layers.Activation("silu"), {"0.7.5": 48}, {"0.6.2": 0, "0.7.5": 48}),
        (layers.LeakyReLU(), {"0.6.2": 48, "0.7.5": 48}, {"0.7.5": 0}),
        (layers.MaxPooling2D(2), {"0.6.2": 48, "0.7.5": 96}, {"0.6.2": 0}),
        (layers.LayerNormalization(), {"0.6.2": 0, "0.7.5": 96}, {}),
        (
            layers.BatchNormalization(center=False, scale=False),
            {"0.6.2": 48},
            {"0.6.2": 48},
        ),
        (
            layers.Conv2D(2, 3, padding="same", activation="relu"),
            {"0.6.2": 16 * (2 * 27 + 2 + 2), "0.7.5": 16 * (2 * 27 + 2 + 4)},
            {"0.6.2": 16 * (2 * 27 + 2)},
        ),
        (
            layers.Dense(5),
            {"0.6.2": 16 * 15, "0.7.5": 16 * 20},
            {"0.7.5": 16 * 20},
        ),
    ],
)
def test_one_layer_counts_by_hand(layer, modules, functions):
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, layer(inputs))
    for wanted, functional in ((modules, False), (functions, True)):
        for version, count in wanted.items():
            assert ptflops(model, version, functional=functional) == count


def test_another_version_is_refused():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    with pytest.raises(UserError, match="version must.*version=0.7$"):
        ptflops(model, "0.7")
