"""CIFAR ResNets with conv shortcuts: the authors' numbers, sizes, strip."""

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather, Rotated
from rrelu_tf.models import seed_weights


def build(name="resnet8_b", **options):
    options = {"num_classes": 3, "input_shape": (8, 8, 3), **options}
    return models.create(name, **options)


@pytest.fixture
def npz(shared):
    return shared / "fixtures" / "orthoreg" / "resnet56.npz"


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-4)]
)
def test_logits_equal_the_authors(npz, dtype, tolerance):
    arrays = np.load(npz)
    keras.config.set_dtype_policy(dtype)
    model = build("resnet56_b", num_classes=100, input_shape=(32, 32, 3))
    models.load_seed_weights(model, npz)
    pixels = arrays["images_u8"].astype("float32") / 255
    x = ((pixels - 0.5) / 0.5).astype(dtype)
    truth = arrays["exp/logits"]
    error = np.abs(model(x, training=False) - truth).max()
    assert error < tolerance * np.abs(truth).max()


def test_what_was_read_is_written_under_the_same_names(npz, tmp_path):
    model = build("resnet56_b", num_classes=100)
    models.load_seed_weights(model, npz)
    with (tmp_path / "again.npz").open("wb") as file:
        seed_weights.save_seed_weights(model, file)
    arrays, written = np.load(npz), np.load(tmp_path / "again.npz")
    assert written.keys() == {x for x in arrays if x.startswith("w/")}
    for name in written:
        assert np.array_equal(written[name], arrays[name]), name


def test_sizes_are_the_authors_to_the_unit():
    model = build("resnet56_b", num_classes=100, input_shape=(32, 32, 3))
    profile = rrelu_tf.profile(model)
    assert profile.trainable_params == 861_620
    assert profile.params - profile.trainable_params == 4_256
    assert profile.macs == 125_753_600
    assert len(model.trainable_weights) == 173


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_option_b_adds_two_convs_and_norms_to_option_a(depth):
    a, b = build(f"resnet{depth}"), build(f"resnet{depth}_b")
    added = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    trainable = [rrelu_tf.profile(x).trainable_params for x in (a, b)]
    assert trainable[1] - trainable[0] == added
    assert not any(isinstance(x, ChannelGather) for x in b.layers)
    shortcuts = [x.name for x in b.layers if "shortcut" in x.name]
    assert shortcuts == [
        f"layer{stage}_0_shortcut_{part}" for stage in (2, 3) for part in (0, 1)
    ]


def test_only_the_stem_stays_plain():
    model = build(activation="rsilu")
    plain = [x for x in model.layers if type(x) is keras.layers.Activation]
    assert [x.name for x in plain] == ["relu1"]
    slopes = [x.slope for x in model.layers if isinstance(x, Rotated)]
    assert sum(slope.shape[0] for slope in slopes) == 2 * (16 + 32 + 64)


def test_weights_begin_as_pytorchs():
    model = build(num_classes=500)
    for name, fan_in in (
        ("conv1", 27),
        ("layer3_0_conv2", 9 * 64),
        ("layer3_0_shortcut_0", 32),
        ("linear", 64),
    ):
        bound = fan_in**-0.5
        for variable in model.get_layer(name).weights:
            values = np.abs(variable.numpy())
            assert 0.95 * bound < values.max() <= bound * (1 + 1e-6)


def randomise(model):
    """Weights and statistics none of which is special."""
    generator = np.random.default_rng(7)
    for layer in model.layers:
        for variable in layer.weights:
            values = generator.uniform(0.4, 1.1, variable.shape)
            if "variance" not in variable.name:
                values *= generator.choice((-1.0, 1.0), variable.shape)
            if variable.name == "kernel":
                values /= np.sqrt(np.prod(variable.shape[:-1]))
            variable.assign(values)
    return model


def test_dead_slopes_leave_an_equal_smaller_net():
    keras.config.set_dtype_policy("float64")
    model = randomise(build("resnet14_b", activation="rrelu"))
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, Rotated):
            stays = generator.random(layer.slope.shape) >= 0.5
            layer.slope.assign(layer.slope.numpy() * stays)
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small, samples=2).relative < 1e-12
    for layer in model.layers:
        if layer.name.endswith("rrelu1"):  # inside a block
            conv = small.get_layer(layer.name.replace("rrelu", "conv"))
            assert conv.filters == np.count_nonzero(layer.slope.numpy())
    last = np.count_nonzero(model.get_layer("layer3_1_rrelu2").slope.numpy())
    assert small.get_layer("layer3_1_conv2").filters == last
    assert small.get_layer("layer3_0_shortcut_0").filters < 64


def test_masked_filters_leave_an_equal_smaller_net():
    keras.config.set_dtype_policy("float64")
    model = randomise(build("resnet14_b"))
    generator = np.random.default_rng(2)
    keep = {
        layer.name: generator.random(layer.filters) >= 0.5
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    masked = rrelu_tf.mask(model, keep)
    small = rrelu_tf.strip(masked)
    assert rrelu_tf.verify(masked, small, samples=2).relative < 1e-12
    for name, stays in keep.items():
        assert small.get_layer(name).filters <= stays.sum()
    assert small.count_params() < 0.35 * model.count_params()


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"name": "resnet57_b"}, "name=resnet57_b"),
        ({"name": "resnet26_b"}, "name=resnet26_b"),
        ({"name": "resnet_b"}, "name=resnet_b"),
        ({"name": "resnet34_b"}, "name=resnet34_b"),
        ({"input_shape": (3, 8, 3)}, "input_shape=(3, 8, 3)"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(options, received):
    with pytest.raises(UserError) as caught:
        build(**options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: {received}")


@pytest.mark.parametrize("name", ["resnet8", "resnet8_b"])
def test_width_is_a_factor_on_all_channels(name):
    half, whole = build(name, width=0.5), build(name)
    for layer in whole.layers:
        narrow = half.get_layer(layer.name).output.shape[-1]
        if layer.output.shape[-1] > 3:  # not images or logits
            assert narrow == layer.output.shape[-1] / 2, layer.name
    assert [x.name for x in half.layers] == [x.name for x in whole.layers]


@pytest.mark.parametrize("width", [0, 1 / 17, float("inf"), "1", True])
def test_a_width_that_leaves_no_channel_is_one_line(width):
    with pytest.raises(UserError, match="width must .* Received: width="):
        build(width=width)
