import keras
import pytest

from rrelu_tf import models
from rrelu_tf.analysis.profile import profile
from rrelu_tf.errors import UserError
from rrelu_tf.layers import PositionEmbedding, RReLU
from rrelu_tf.strip import strip

layers = keras.layers


def one(layer, shape):
    inputs = keras.Input(shape)
    return profile(keras.Model(inputs, layer(inputs)))


# facts/rrelu.md, section 8: convolution and linear weights, FLOPs.
@pytest.mark.parametrize(
    "name, weights, flops",
    [
        ("resnet20", 268_336, 81_102_080),
        ("resnet56", 848_944, 250_971_392),
        ("wrn_16_4", 2_745_264, 785_224_704),
        pytest.param(
            "resnet110", 1_719_856, 505_775_360, marks=pytest.mark.slow
        ),
        pytest.param(
            "wrn_40_4", 8_938_416, 2_597_164_032, marks=pytest.mark.slow
        ),
    ],
)
def test_the_paper_s_networks_have_the_paper_s_counts(name, weights, flops):
    model = models.create(name, num_classes=10, activation="rrelu")
    counted = profile(model)
    assert (counted.weights, counted.flops) == (weights, flops)
    assert counted.flops == 2 * counted.macs
    assert counted.params == model.count_params()
    assert counted.uncounted == []


def test_trainable_params_are_the_authors_count():
    model = models.create("resnet20", num_classes=10, activation="rrelu")
    assert profile(model).trainable_params == 270_394


@pytest.mark.parametrize(
    "layer, shape, weights, macs",
    [
        (layers.Conv1D(4, 3), (10, 2), 24, 8 * 24),
        (layers.Conv2D(4, 3, 2, "same"), (9, 7, 2), 72, 5 * 4 * 72),
        (layers.Conv2D(4, 3, groups=2), (9, 7, 6), 108, 7 * 5 * 108),
        (layers.Conv3D(4, 2), (3, 3, 3, 2), 64, 8 * 64),
        (layers.DepthwiseConv1D(3, depth_multiplier=2), (9, 5), 30, 7 * 30),
        (layers.DepthwiseConv2D(3), (5, 5, 4), 36, 9 * 36),
        (layers.SeparableConv1D(7, 3), (9, 5), 15 + 35, 7 * 50),
        (layers.SeparableConv2D(7, 3), (5, 5, 4), 36 + 28, 9 * 64),
        (layers.Conv1DTranspose(3, 2, strides=2), (5, 4), 24, 5 * 24),
        (layers.Conv2DTranspose(3, 2, strides=2), (5, 4, 2), 24, 20 * 24),
        (layers.Conv3DTranspose(3, 1), (2, 2, 2, 2), 6, 8 * 6),
        (layers.Dense(7), (5,), 35, 35),
        (layers.Dense(7), (3, 2, 5), 35, 6 * 35),
        (layers.EinsumDense("abc,cd->abd", (3, 7)), (3, 5), 35, 3 * 35),
        (layers.EinsumDense("...b,bc->...c", 7), (5,), 35, 35),
        (layers.EinsumDense("abc,bcd->ad", 7), (3, 5), 105, 105),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_one_layer_counts_by_hand(layer, shape, weights, macs):
    counted = one(layer, shape)
    assert (counted.weights, counted.macs) == (weights, macs)


def test_biases_and_normalisation_are_parameters_but_not_weights():
    counted = one(layers.BatchNormalization(), (4, 4, 3))
    assert (counted.params, counted.trainable_params) == (12, 6)
    assert (counted.weights, counted.macs) == (0, 0)
    assert one(layers.Dense(2), (3,)).params == 6 + 2


def test_a_shared_layer_costs_its_macs_twice_and_its_weights_once():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inputs = keras.Input((4, 4, 3))
    counted = profile(keras.Model(inputs, shared(shared(inputs))))
    first, second = counted.layers
    assert (first.key, second.key) == ("shared", "shared")
    assert first.macs == second.macs == 16 * 81
    assert (first.params, second.params) == (84, 0)
    assert (counted.params, counted.weights) == (84, 81)


def test_a_nested_model_is_walked_through_at_the_size_it_is_called_on():
    inner = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(2, 1, name="conv")],
        name="inner",
    )
    inputs = keras.Input((4, 5, 3))
    small = inner(layers.MaxPooling2D(2)(inputs))
    counted = profile(keras.Model(inputs, [inner(inputs), small]))
    convolutions = [row for row in counted.layers if row.weights or row.macs]
    assert [row.key for row in convolutions] == ["inner/conv"] * 2
    assert sorted(row.macs for row in convolutions) == [4 * 6, 20 * 6]
    assert counted.weights == 6


def test_layers_without_a_rule_are_named():
    recurrent = layers.LSTM(4, name="recurrent")
    inputs = keras.Input((5, 8))
    counted = profile(keras.Model(inputs, recurrent(inputs)))
    assert counted.uncounted == ["recurrent"]
    assert "No rule counts weights and MACs of: recurrent" in counted.table()


def test_attention_counts_its_kernels_and_its_two_products():
    query, value = keras.Input((3, 6)), keras.Input((5, 7))
    attention = layers.MultiHeadAttention(2, 4, value_dim=8, name="attention")
    counted = profile(keras.Model([query, value], attention(query, value)))
    (layer,) = [x for x in counted.layers if x.key == "attention"]
    kernels = 6 * 2 * 4 + 7 * 2 * 4 + 7 * 2 * 8 + 2 * 8 * 6
    assert layer.weights == kernels
    projections = 3 * 6 * 2 * 4 + 5 * 7 * 2 * (4 + 8) + 3 * 2 * 8 * 6
    assert layer.macs == projections + 3 * 5 * 2 * (4 + 8)
    assert counted.uncounted == []


def test_grouped_attention_shares_keys_but_not_products():
    inputs = keras.Input((5, 6))
    attention = layers.GroupQueryAttention(3, 4, 2, name="attention")
    counted = profile(keras.Model(inputs, attention(inputs, inputs)))
    projections = 5 * (6 * 4 * 3 + 2 * (6 * 2 * 3) + 4 * 3 * 6)
    assert counted.macs == projections + 5 * 5 * 4 * (3 + 3)


def test_attention_along_one_axis_meets_that_axis_only():
    inputs = keras.Input((2, 5, 6))
    attention = layers.MultiHeadAttention(2, 4, attention_axes=(2,))
    counted = profile(keras.Model(inputs, attention(inputs, inputs)))
    projections = 2 * 5 * 4 * 6 * 2 * 4
    assert counted.macs == projections + 2 * 5 * 5 * 2 * (4 + 4)


def test_the_table_shows_each_layer_and_the_sums():
    counted = one(layers.Dense(700, name="head"), (50,))
    lines = counted.table().splitlines()
    assert any("head" in line and "35,000" in line for line in lines)
    assert any("sum" in line and "35,700" in line for line in lines)
    assert "70,000 per example" in counted.table()
    assert all(line == line.rstrip() for line in lines)


def test_an_unknown_size_is_one_line():
    with pytest.raises(UserError, match=r"Received: conv=\(None, None\)$"):
        one(layers.Conv2D(2, 1, name="conv"), (None, None, 3))


def compared(dead):
    """Cells by layer, and the text, of a residual model and its strip."""
    i = keras.Input((4, 4, 3))
    stem = layers.Conv2D(4, 1, name="stem")(i)
    x = layers.Conv2D(8, 3, padding="same", name="conv")(stem)
    x = RReLU(name="act")(x)
    x = layers.Conv2D(4, 1, name="back", use_bias=False)(x)
    y = RReLU(name="side")(stem)
    y = layers.Conv2D(4, 1, name="skip")(y)
    model = keras.Model(i, layers.Add(name="add")([x, y]))
    model.get_layer("act").slope.assign([0.0] * dead + [1.0] * (8 - dead))
    model.get_layer("side").slope.assign([1.0, 0, 0, 1])
    text = profile(model).compare(profile(strip(model)))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    return {first: rest for first, *rest in cells}, text


def test_two_profiles_are_compared_layer_by_layer():
    rows, text = compared(dead=6)
    assert rows["stem"] == ["Conv2D", "16", "192", ""]
    assert rows["conv"][1:] == ["296 => 74", "4,608 => 1,152", ""]
    assert rows["back"][1:] == ["32 => 8", "512 => 128", ""]
    assert rows["act"][1:] == ["8 => 2", "", ""]
    assert rows["sum"][1] == "376 => 114 (30.3 %)"
    assert rows["sum"][2] == "5,568 => 1,600 (28.7 %)"
    assert "add" not in rows
    assert text.endswith("\nGathers: side_gather (2 channels).\n")


def test_layers_that_are_gone_are_marked():
    rows, _ = compared(dead=8)
    assert rows["conv"][1:] == ["296 => 0", "4,608 => 0", "gone"]
    assert rows["act"][3] == "gone"
    assert rows["skip"][3] == ""
    assert rows["add"] == ["Add", "", "", "gone"]


def test_calls_of_one_layer_are_compared_together():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inputs = keras.Input((4, 4, 3))
    counted = profile(keras.Model(inputs, shared(shared(inputs))))
    assert counted.costs() == {"shared": ("Conv2D", 84, 2 * 16 * 81)}
    text = counted.compare(counted)
    assert "2,592" in text
    assert "84 => 84 (100.0 %)" in text
    assert text.endswith("\nGathers: none.\n")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (PositionEmbedding(), (5, 4)),
        (layers.PReLU(), (4, 4, 3)),
        (layers.LayerNormalization(axis=[1, 2]), (5, 4)),
    ],
)
def test_weights_that_are_added_or_scale_are_no_products(layer, shape):
    counted = one(layer, shape)
    assert counted.params > 0
    assert (counted.weights, counted.macs, counted.uncounted) == (0, 0, [])
