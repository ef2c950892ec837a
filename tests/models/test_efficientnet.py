"""EfficientNets: equal to Keras's, and what a dead slope frees in a block."""

import math

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated, RSiLU


def create(name="efficientnet_b0", **options):
    options = {"num_classes": 3, "input_shape": (32, 32, 3), **options}
    return models.create(name, **options)


def unallocated(build):
    """What `build` makes, without the memory of its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return build()


def images(*sides, count=2):
    """Random images of several contrasts."""
    generator = np.random.default_rng(1)
    contrast = generator.uniform(0.5, 3, (count, 1, 1, 3))
    return generator.normal(size=(count, *sides, 3)) * contrast


def randomise(model):
    """Weights none of which is special, and the statistics of images.

    With other statistics every image would give the same logits.
    """
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        values = generator.uniform(0.4, 1.1, variable.shape)
        values *= generator.choice((-1.0, 1.0), variable.shape)
        if variable.name == "kernel":
            depthwise = variable.shape[-1] == 1
            fan_in = variable.shape[:-2] if depthwise else variable.shape[:-1]
            values /= math.sqrt(math.prod(fan_in))
        variable.assign(values)
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.momentum = 0.0
    model(images(*model.input_shape[1:3], count=8), training=True)
    for layer in norms:
        layer.momentum = 0.99
    return model


# Blocks in which slopes are dead behind the depthwise norm, and behind the
# expansion alone: with a skip, and strided.
DEPTHWISE_DEAD = ("block2_1", "block3_0")
EXPAND_DEAD = ("block4_1", "block4_0")
DEAD = [3, 7, 50, 99, 143]


def silence(model, name, dead):
    slope = model.get_layer(name).slope
    values = slope.numpy()
    values[dead] = 0
    slope.assign(values)


@pytest.fixture(scope="module")
def rotated():
    """B0 in float64 with some dead slopes; its users leave it as it is."""
    keras.config.set_dtype_policy("float64")
    model = randomise(create(activation="rsilu"))
    keras.config.set_dtype_policy("float32")
    for block in DEPTHWISE_DEAD:
        silence(model, f"{block}_activation", DEAD)
    for block in EXPAND_DEAD:
        silence(model, f"{block}_expand_activation", DEAD)
    return model


@pytest.fixture(scope="module")
def stripped(rotated):
    """What `strip` makes of it."""
    return rrelu_tf.strip(rotated)


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [(0, 5_288_548), (1, 7_794_184), (2, 9_109_994), (3, 12_233_232)],
)
def test_parameters_equal_keras_to_the_unit(variant, parameters):
    name = f"efficientnet_b{variant}"
    model = unallocated(
        lambda: create(name, num_classes=1000, activation="silu")
    )
    build = getattr(keras.applications, f"EfficientNetB{variant}")
    theirs = unallocated(lambda: build(weights=None))
    assert trainable(model) == trainable(theirs) == parameters
    # Theirs normalises its input: 2 x 3 statistics and a counter.
    assert model.count_params() == theirs.count_params() - 7


@pytest.fixture(scope="module")
def keras_b0():
    """Keras's own B0 in float64, from its normalised input to its logits."""
    keras.config.set_dtype_policy("float64")
    model = keras.applications.EfficientNetB0(
        weights=None,
        input_shape=(33, 46, 3),
        classes=3,
        classifier_activation=None,
    )
    keras.config.set_dtype_policy("float32")
    normalised = model.get_layer("stem_conv_pad").input
    return randomise(keras.Model(normalised, model.output))


def test_the_forward_pass_equals_keras(keras_b0):
    keras.config.set_dtype_policy("float64")
    model = create(activation="silu", input_shape=(33, 46, 3))
    model.set_weights(keras_b0.get_weights())
    x = images(33, 46)
    found, expected = model(x).numpy(), keras_b0(x).numpy()
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
    assert np.ptp(found, axis=0).min() > 1e-3  # images make a difference


def test_statistics_and_initial_weights_are_keras(keras_b0):
    model = unallocated(create)
    for kind, options in (
        ("BatchNormalization", ("momentum", "epsilon")),
        ("Conv2D", ("kernel_initializer",)),
        ("DepthwiseConv2D", ("depthwise_initializer",)),
        ("Dense", ("kernel_initializer",)),
    ):
        layer_class = getattr(keras.layers, kind)
        ours, theirs = (
            [
                [settings(layer, option) for option in options]
                for layer in net.layers
                if isinstance(layer, layer_class)
            ]
            for net in (model, keras_b0)
        )
        assert ours == theirs != []


def settings(layer, option):
    """An option of a layer, without the seed if it is an initializer."""
    value = layer.get_config()[option]
    if isinstance(value, dict):
        return value["class_name"], value["config"] | {"seed": None}
    return value


def test_expand_and_depthwise_activations_are_rotated_and_no_others():
    model = unallocated(lambda: create(activation="rsilu"))
    found = [x for x in model.layers if isinstance(x, Rotated)]
    assert {type(x) for x in found} == {RSiLU}
    assert len(found) == 16 + 15  # the first block does not expand
    assert sum(x.slope.shape[0] for x in found) == 17_888
    names = {x.name.split("_", 2)[-1] for x in found}
    assert names == {"expand_activation", "activation"}
    plain = [x for x in model.layers if type(x) is keras.layers.Activation]
    functions = [x.activation for x in plain]
    assert functions.count(keras.activations.silu) == 16 + 2
    assert functions.count(keras.activations.sigmoid) == 16


def test_dropout_and_stochastic_depth_are_off_unless_asked_for():
    def rates(**options):
        model = unallocated(lambda: create(**options))
        return {
            layer.name: layer.rate
            for layer in model.layers
            if isinstance(layer, keras.layers.Dropout)
        }

    assert not rates()
    assert rates(dropout=0.3) == {"dropout": 0.3}
    dropped = rates(stochastic_depth=0.2)
    # Rising with the block's number; only blocks with a skip can be dropped.
    assert len(dropped) == 9
    assert dropped["block2_1_drop"] == pytest.approx(0.2 * 2 / 16)
    assert dropped["block6_3_drop"] == pytest.approx(0.2 * 14 / 16)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": "0.2"}, "dropout=0.2"),
        ({"stochastic_depth": -0.1}, "stochastic_depth=-0.1"),
        ({"patch_size": 4}, "patch_size=4"),
        ({"name": "efficientnet_b4"}, "name=efficientnet_b4"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(options, received):
    with pytest.raises(UserError) as caught:
        unallocated(lambda: create(**options))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"Received: {received}")


def channels(model, block):
    """Widths within a block, as its kernels have them."""

    def shape(part):
        return tuple(model.get_layer(f"{block}_{part}").weights[0].shape)

    return {
        "expand": shape("expand_conv")[-1],
        "depthwise": shape("depthwise")[-2],
        "squeeze": shape("se_reduce")[-2],
        "excite": shape("se_expand")[-1],
        "project": shape("project_conv")[-2],
    }


PARTS = ("expand", "depthwise", "squeeze", "excite", "project")


def test_a_stripped_net_is_equal(rotated, stripped):
    assert rrelu_tf.verify(rotated, stripped).relative < 1e-12


def test_a_dead_slope_behind_the_depthwise_norm_frees_its_channel(
    rotated, stripped
):
    for block in DEPTHWISE_DEAD:
        assert channels(rotated, block) == dict.fromkeys(PARTS, 144)
        assert channels(stripped, block) == dict.fromkeys(
            PARTS, 144 - len(DEAD)
        )
        assert stripped.get_layer(f"{block}_se_reduce").filters == 6


def test_a_dead_expand_slope_does_not_free_the_channel_behind_it(
    rotated, stripped
):
    for block, width in zip(EXPAND_DEAD, (480, 240), strict=True):
        assert channels(rotated, block) == dict.fromkeys(PARTS, width)
        found = channels(stripped, block)
        # What the depthwise norm makes of zeros is known, and filled in.
        assert found["expand"] == found["depthwise"] == width - len(DEAD)
        # The excitation scales it by the image: these stay.
        kept = [found[part] for part in ("squeeze", "excite", "project")]
        assert kept == [width] * 3


def test_nothing_else_is_removed(rotated, stripped):
    freed = 0
    # Depthwise size; channels before, in the excitation's middle, behind.
    for size, before, middle, behind in ((3, 24, 6, 24), (5, 24, 6, 40)):
        freed += before + size**2 + 2 * 4 + 2 + 2 * middle + 1 + behind
    for before in (80, 40):
        freed += before + 3**2 + 2 * 4 + 2  # two norms, two slopes
    removed = rotated.count_params() - stripped.count_params()
    assert removed == freed * len(DEAD)


def test_the_channel_behind_a_dead_expand_slope_is_no_constant(rotated):
    excited = rotated.get_layer("block4_1_se_excite").output
    values = keras.Model(rotated.input, excited)(images(32, 32)).numpy()
    values = values[..., DEAD]
    assert np.ptp(values, axis=(1, 2)).max() < 1e-12  # alike in one image
    assert np.ptp(values, axis=0).min() > 1e-4  # but not in two


@pytest.mark.slow
def test_slopes_dead_at_random_leave_an_equal_smaller_net(rotated):
    model = keras.models.clone_model(rotated)
    model.set_weights(rotated.get_weights())
    generator = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, Rotated):
            dead = generator.random(layer.slope.shape) < 0.3
            silence(model, layer.name, dead)
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small).relative < 1e-12
    assert small.count_params() < 0.7 * model.count_params()


def test_a_model_survives_saving_and_loading(rotated, tmp_path):
    rotated.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images(32, 32)
    assert [x.name for x in loaded.layers] == [x.name for x in rotated.layers]
    assert np.array_equal(rotated(x), loaded(x))
