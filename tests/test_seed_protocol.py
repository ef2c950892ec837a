"""protocol="seed" against the numbers of the OrthoReg authors' own code."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf import filters, seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.models import seed_weights
from rrelu_tf.regularizers import OrthoReg

FIXTURES = {"resnet56": "resnet56_b", "vgg13": "vgg13"}


def convolutions(name, convs, weights=None):
    """A net of the name whose convolutions lie side by side.

    `convs` are (layer name, kernel shape in Keras's axes, depthwise, bias).
    """
    inputs, outputs = [], []
    for layer, shape, depthwise, bias in convs:
        options = {"name": layer, "use_bias": bias, "padding": "same"}
        if depthwise:
            made = layers.DepthwiseConv2D(shape[:2], **options)
        else:
            made = layers.Conv2D(shape[3], shape[:2], **options)
        inputs.append(keras.Input((3, 3, shape[2])))
        outputs.append(made(inputs[-1]))
        if weights:
            made.set_weights(weights[layer])
    return keras.Model(inputs, outputs, name=name)


@pytest.fixture(params=FIXTURES)
def reference(request, shared):
    """(the authors' numbers, their layers' names, our net of their kernels)."""
    folder = shared / "fixtures" / "orthoreg"
    about = json.loads((folder / f"{request.param}.json").read_text())
    stored = np.load(folder / f"{request.param}.npz")
    arrays = seed_weights.read(folder / f"{request.param}.npz")
    weights = {}
    for parameter in about["parameters"]:
        layer, _, kind = parameter["name"].rpartition(".")
        array = arrays[parameter["name"]]
        if kind == "weight" and array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        weights.setdefault(layer.replace(".", "_"), []).append(array)
    names = [row["conv"].replace(".", "_") for row in about["ortho_order"]]
    convs = [
        (name, weights[name][0].shape, False, len(weights[name]) == 2)
        for name in names
    ]
    return stored, names, convs, weights, FIXTURES[request.param]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)]
)
def test_norms_weights_and_total_are_the_authors(reference, dtype, tolerance):
    stored, names, convs, weights, name = reference
    keras.config.set_dtype_policy(dtype)
    net = rrelu_tf.orthogonalize(
        convolutions(name, convs, weights), protocol="seed"
    )
    factor = float(stored["exp/ortho_coef"])
    for i, layer in enumerate(map(net.get_layer, names)):
        (term,) = layer.losses
        penalty = layer.kernel_regularizer
        assert penalty.factor == factor
        weight = stored["exp/ortho_weight"][i]
        assert penalty.weight == pytest.approx(weight, rel=1e-12)
        for key, value in (
            ("exp/ortho_terms", float(term) / factor),
            ("exp/ortho_raw", float(term) / factor / weight),
        ):
            assert value == pytest.approx(stored[key][i], rel=tolerance)
    total = float(sum(net.losses)) / factor
    assert total == pytest.approx(float(stored["exp/ortho_L"]), rel=tolerance)


def test_degrees_of_orthogonality_are_the_authors(reference):
    stored, names, convs, weights, name = reference
    net = convolutions(name, convs, weights)
    found = rrelu_tf.analysis.orthogonality(net, protocol="seed")
    assert list(found) == names
    np.testing.assert_allclose(
        list(found.values()), stored["exp/degree"], rtol=1e-6
    )
    regularised = rrelu_tf.orthogonalize(net, protocol="seed")
    again = rrelu_tf.analysis.orthogonality(regularised, protocol="seed")
    assert again == found


def test_the_right_protocol_differs_where_the_authors_err(reference):
    _, names, convs, weights, name = reference
    net = convolutions(name, convs, weights)
    seed, right = (
        rrelu_tf.orthogonalize(net, protocol=protocol)
        for protocol in ("seed", None)
    )
    weight_sum = sum(
        right.get_layer(x).kernel_regularizer.weight for x in names
    )
    assert weight_sum == pytest.approx(1)
    first = [x.get_layer(names[0]).kernel_regularizer for x in (seed, right)]
    assert [penalty.side for penalty in first] == ["inputs", "smaller"]


def mobilenet():
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    convs = [("conv1", (3, 3, 3, 32), False, False)]
    for i, (before, after) in enumerate(
        zip(widths[:-1], widths[1:], strict=True)
    ):
        convs += [
            (f"layers_{i}_conv1", (3, 3, before, 1), True, False),
            (f"layers_{i}_conv2", (1, 1, before, after), False, False),
        ]
    return convolutions("mobilenet_v1", convs)


def test_mobilenet_is_regularised_on_the_inputs_side():
    net = rrelu_tf.orthogonalize(mobilenet(), protocol="seed")
    found = {f.key: f for f in filters.of(net)}
    penalties = {
        key: getattr(f.layer, f.regularizer) for key, f in found.items()
    }
    assert len(found) == 27
    assert {penalty.factor for penalty in penalties.values()} == {1e-3}
    assert {penalty.side for penalty in penalties.values()} == {"inputs"}
    # The facts' normaliser.
    for key, count in (("conv1", 32), ("layers_1_conv1", 64)):
        wanted = count**0.5 / 477.754
        assert penalties[key].weight == pytest.approx(wanted, rel=1e-5)
    wanted = 64**0.5 / 477.754
    assert penalties["layers_1_conv2"].weight == pytest.approx(wanted, rel=1e-5)
    assert sum(p.weight for p in penalties.values()) == pytest.approx(1)
    depthwise = found["layers_3_conv1"]
    by_columns = OrthoReg(1.0, side="inputs", filters=(-2, -1))
    w = np.asarray(depthwise.variable).reshape(9, -1)
    wanted = np.abs(w @ w.T - np.eye(9)).sum()
    assert float(by_columns(depthwise.variable)) == pytest.approx(
        wanted, rel=1e-5
    )


def resnet34():
    """Its convolutions, under the names of `models.create("resnet34")`."""
    convs = [("conv1", (3, 3, 3, 64), False, False)]
    before = 64
    for stage, (blocks, width) in enumerate(
        zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 1
    ):
        for block in range(blocks):
            name = f"layer{stage}_{block}"
            convs += [
                (f"{name}_conv1", (3, 3, before, width), False, False),
                (f"{name}_conv2", (3, 3, width, width), False, False),
            ]
            if before != width:
                shape = (1, 1, before, width)
                convs.append((f"{name}_downsample_0", shape, False, False))
            before = width
    return convolutions("resnet34", convs)


def test_shortcuts_take_the_weight_of_their_blocks_first_conv():
    net = rrelu_tf.orthogonalize(resnet34(), protocol="seed")
    weights = {
        f.key: f.layer.kernel_regularizer.weight for f in filters.of(net)
    }
    assert len(weights) == 36
    assert weights["conv1"] == pytest.approx(8 / 509.588, rel=1e-5)
    assert weights["layer3_0_downsample_0"] == weights["layer3_0_conv1"]
    assert sum(weights.values()) == pytest.approx(1.02870, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["resnet56", "resnet50", "mobilenet_v2", "my_vgg13"]
)
def test_a_model_of_no_family_is_refused(name):
    net = convolutions(name, [("conv1", (3, 3, 3, 4), False, False)])
    with pytest.raises(UserError, match=f"Received: model={name}$"):
        seed_protocol.family(net)


def test_a_net_of_other_layers_is_refused():
    convs = [
        ("conv1", (3, 3, 3, 4), False, False),
        ("conv2", (1, 1, 4, 4), False, False),
    ]
    with pytest.raises(UserError, match="Received: conv2=pointwise$"):
        rrelu_tf.orthogonalize(convolutions("vgg13", convs), protocol="seed")
    convs[1] = ("block_shortcut_0", (1, 1, 4, 4), False, False)
    net = convolutions("resnet34", convs)
    with pytest.raises(UserError, match="block_shortcut_0 without block_conv1"):
        rrelu_tf.orthogonalize(net, protocol="seed")
