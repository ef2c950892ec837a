import keras
import numpy as np
import pytest

from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RGELU, Rotated, RReLU, RSiLU

ROTATED = {"rrelu": RReLU, "rgelu": RGELU, "rsilu": RSiLU}
PLAIN = ("relu", "gelu", "silu")
# name -> (activations that are rotated, those that stay plain).
STUDIED = {
    "efficientnet_b0": (31, 34),
    "efficientnet_b1": (44, 48),
    "efficientnet_b2": (44, 48),
    "efficientnet_b3": (50, 54),
    "fcnn": (1, 0),
    "mixer_b": (24, 0),
    "mixer_s": (16, 0),
    "mobilenet_v1": (27, 0),
    "resnet18": (16, 1),
    "resnet20": (18, 1),
    "resnet32": (30, 1),
    "resnet34": (32, 1),
    "resnet44": (42, 1),
    "resnet50": (48, 1),
    "resnet56": (54, 1),
    "resnet101": (99, 1),
    "resnet110": (108, 1),
    "resnet110_preact": (108, 1),
    "resnet14": (12, 1),
    "resnet152": (150, 1),
    "resnet164_preact": (162, 1),
    "resnet8": (6, 1),
    **{f"resnet{d}_b": (d - 2, 1) for d in (8, 14, 20, 32, 44, 56, 110)},
    "vgg13": (10, 0),
    "vgg16": (13, 0),
    "vgg19": (16, 0),
    "vit_base": (12, 0),
    "vit_small": (12, 0),
    "vit_tiny": (12, 0),
    "wide_resnet50_2": (48, 1),
    "wrn_16_4": (12, 1),
    "wrn_28_10": (24, 1),
    "wrn_40_2": (36, 1),
    "wrn_40_4": (36, 1),
}
# The sides of the smallest images, where 8 pixels are too few.
SIDES = {"mobilenet_v1": 9, "vgg13": 32, "vgg16": 32, "vgg19": 32}
QUICK = ("fcnn", "resnet20", "wrn_16_4", "relu", "rrelu")
CASES = [
    pytest.param(
        name,
        activation,
        marks=()
        if name == "fcnn" or (name in QUICK and activation in QUICK)
        else pytest.mark.slow,
    )
    for name in STUDIED
    for activation in (*PLAIN, *ROTATED)
    if name in QUICK or activation in QUICK
]


def build(name="resnet20", **options):
    options = {"num_classes": 3, "input_shape": (8, 8, 3), **options}
    return models.create(name, **options)


def test_the_registry_lists_the_architectures_of_the_papers():
    assert models.names() == sorted(STUDIED)


@pytest.mark.parametrize(("name", "activation"), CASES)
def test_every_name_builds_with_every_activation(name, activation):
    side = SIDES.get(name, 8)
    model = build(name, activation=activation, input_shape=(side, side, 3))
    rotated = [x for x in model.layers if isinstance(x, Rotated)]
    plain = [x for x in model.layers if type(x) is keras.layers.Activation]
    assert model.name == name
    assert model.output_shape == (None, 3)
    studied, others = STUDIED[name]
    if activation in ROTATED:
        assert {type(x) for x in rotated} == {ROTATED[activation]}
        assert len(rotated) == studied
        assert len(plain) == others
    else:
        assert not rotated
        assert len(plain) == studied + others
    functions = {x.activation.__name__ for x in plain} - {"sigmoid"}  # gates
    assert functions <= {activation.removeprefix("r") or activation, activation}
    outputs = model(np.zeros((2, side, side, 3), "float32"))
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("activation", ["rrelu", "rgelu", "rsilu"])
def test_stem_and_head_stay_plain(activation):
    stem = build(activation=activation).get_layer("relu1")
    head = build("wrn_10_1", activation=activation).get_layer("relu")
    expected = keras.activations.get(activation.removeprefix("r"))
    assert stem.activation is expected
    assert head.activation is expected


def test_outputs_are_logits():
    for name in ("fcnn", "resnet20", "wrn_10_1"):
        last = build(name).layers[-1]
        assert type(last) is keras.layers.Dense
        assert last.activation is keras.activations.linear


def test_wide_networks_of_any_depth_and_width_build():
    model = build("wrn_22_3", activation="rrelu")
    assert model.get_layer("block3_2_conv2").filters == 192
    assert sum(isinstance(x, Rotated) for x in model.layers) == 18


def test_the_slopes_options_reach_every_rotated_layer():
    model = build(
        activation="rrelu",
        slope_regularizer=keras.regularizers.L1(1e-4),
        slope_initializer="ones",
    )
    rotated = [x for x in model.layers if isinstance(x, Rotated)]
    assert len(model.losses) == len(rotated) == 18
    assert all(np.all(x.slope.numpy() == 1) for x in rotated)


def test_no_two_layers_begin_alike():
    model = build(activation="rrelu", sync_batch_norm=True)
    slopes = [
        x.slope.numpy()
        for x in model.layers
        if isinstance(x, Rotated) and x.slope.shape == (16,)
    ]
    kernels = [
        x.kernel.numpy()
        for x in model.layers
        if isinstance(x, keras.layers.Conv2D)
        and x.kernel.shape == (3, 3, 16, 16)
    ]
    for group in (slopes, kernels):
        assert len({array.tobytes() for array in group}) == len(group) == 6


def test_the_global_seed_makes_the_same_network():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        weights.append(build(activation="rrelu").get_weights())
    for a, b in zip(*weights, strict=True):
        assert np.array_equal(a, b)


def test_synchronised_statistics_are_an_option():
    for choice in (True, False):
        model = build("wrn_10_1", sync_batch_norm=choice)
        norms = [
            x
            for x in model.layers
            if isinstance(x, keras.layers.BatchNormalization)
        ]
        assert len(norms) == 7
        assert {x.synchronized for x in norms} == {choice}


def test_norms_have_the_papers_momentum_and_epsilon():
    for name in ("resnet20", "wrn_10_1"):
        for layer in build(name).layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)


@pytest.mark.parametrize("name", ["fcnn", "wrn_10_1"])
def test_models_survive_saving_and_loading(name, tmp_path):
    model = build(name, activation="rrelu")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    assert np.array_equal(model(x), loaded(x))


@pytest.mark.parametrize("name", ["fcnn", "wrn_10_1"])
def test_the_float64_policy_makes_float64_networks(name):
    keras.config.set_dtype_policy("float64")
    model = build(name, activation="rrelu")
    assert {v.dtype for v in model.variables} == {"float64"}
    assert {x.dtype for x in (*model.inputs, *model.outputs)} == {"float64"}
    outputs = model(np.ones((1, 8, 8, 3)))
    assert outputs.dtype.name == "float64"


@pytest.mark.parametrize("name", ["fcnn", "wrn_10_1"])
def test_mixed_precision_keeps_float32_weights_and_inputs(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(name, activation="rrelu")
    assert {v.dtype for v in model.variables} == {"float32"}
    assert model.inputs[0].dtype == "float32"
    assert model.outputs[0].dtype == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"name": "resnet21"}, "name=resnet21"),
        ({"name": "Resnet20"}, "name=Resnet20"),
        ({"name": "resnet20 "}, "name=resnet20 "),
        ({"name": ""}, "name="),
        ({"name": "wrn_17_4"}, "name=wrn_17_4"),
        ({"name": "wrn_4_4"}, "name=wrn_4_4"),
        ({"name": "wrn_16_0"}, "name=wrn_16_0"),
        ({"activation": "tanh"}, "activation=tanh"),
        ({"activation": None}, "activation=None"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"num_classes": 2.5}, "num_classes=2.5"),
        ({"input_shape": (8, 8)}, "input_shape=(8, 8)"),
        ({"input_shape": (8, 0, 3)}, "input_shape=(8, 0, 3)"),
        ({"input_shape": (None, 8, 3)}, "input_shape=(None, 8, 3)"),
        ({"input_shape": (3, 8, 3)}, "input_shape=(3, 8, 3)"),
        ({"slope": 1}, "slope=1"),
        ({"initializer": "ones"}, "initializer=ones"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(arguments, received):
    with pytest.raises(UserError) as caught:
        build(**arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: {received}")


def test_a_near_miss_is_suggested():
    with pytest.raises(UserError, match="Did you mean .*resnet20"):
        build("resnet2")
