"""strip on the papers' networks: equal in float64, and as small as can be."""

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.layers import ChannelGather, Rotated

pytestmark = pytest.mark.usefixtures("float64")


def create(name, **options):
    options = {"num_classes": 3, "input_shape": (8, 8, 3), **options}
    return models.create(name, activation="rrelu", **options)


def set_slope(model, name, values):
    slope = model.get_layer(name).slope
    slope.assign(np.asarray(values) * np.ones(slope.shape))


def dead(model, name):
    return model.get_layer(name).slope.numpy() == 0


def test_a_wide_resnet_is_equal_and_every_inner_channel_goes(
    randomise, gap, widths
):
    model = randomise(create("wrn_16_1"), dead=0.4)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    after = widths(small)
    gone = 0
    for layer in model.layers:
        name = layer.name
        if not isinstance(layer, Rotated):
            continue
        kept = np.count_nonzero(~dead(model, name))
        assert after[name] == kept
        block = name.rsplit("_", 1)[0]
        inner = name.endswith("rrelu2")
        norm = f"{block}_bn2" if inner else f"{block}_bn1"
        assert after[norm] == kept
        if inner:
            assert after[f"{block}_conv1"] == kept
        gone += layer.slope.shape[0] - kept
    assert gone > 100
    # The last stage feeds the plain head: its stream is whole.
    assert after["block3_1_add"] == after["bn1"] == 64


def test_a_wide_stream_goes_only_where_nothing_reads_it(randomise, gap, widths):
    model = randomise(create("wrn_16_1"))
    readers = ["block1_0_rrelu1", "block1_1_rrelu1", "block2_0_rrelu1"]
    slopes = np.ones(16)
    slopes[[2, 5, 9]] = 0
    for name in readers:
        set_slope(model, name, slopes)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    after = widths(small)
    for name in ("conv1", "block1_0_conv2", "block1_1_conv2", "block1_0_add"):
        assert after[name] == 13
    assert after["block2_0_add"] == 32
    # One live reader more, and the stream channel lives up to it.
    slopes[5] = 1
    set_slope(model, readers[1], slopes)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    after = widths(small)
    assert after["conv1"] == after["block1_0_conv2"] == 14
    assert after["block1_1_conv2"] == 13


def test_a_resnet_is_equal_and_the_stream_is_cut(randomise, gap, widths):
    model = randomise(create("resnet20"), dead=0.5)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    after = widths(small)
    gone = 0
    for layer in model.layers:
        if isinstance(layer, Rotated) and layer.name.endswith("rrelu1"):
            block = layer.name.removesuffix("_rrelu1")
            kept = np.count_nonzero(layer.slope.numpy())
            assert after[f"{block}_conv1"] == after[layer.name] == kept
            gone += layer.slope.shape[0] - kept
    last = np.count_nonzero(~dead(model, "layer3_2_rrelu2"))
    assert small.get_layer("linear").kernel.shape[0] == last
    assert after["layer3_2_conv2"] == last
    assert gone > 100
    assert after["conv1"] == 16  # the stem is always read


def test_fcnn_is_equal_and_hidden_units_go(randomise, gap):
    model = randomise(create("fcnn"), dead=0.3)
    small = rrelu_tf.strip(model)
    kept = np.count_nonzero(~dead(model, "rrelu1"))
    assert gap(model, small) < 1e-12
    assert kept < 400
    shapes = [tuple(weight.shape) for weight in small.weights]
    assert shapes == [(192, kept), (kept,), (kept,), (kept, 3), (3,)]


def test_the_constants_of_a_dead_branch_are_filled_in_not_computed(
    randomise, gap, widths
):
    model = randomise(create("resnet20"))
    set_slope(model, "layer1_1_rrelu1", 0)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    # BN behind the dead conv2 still shifts: its constants are filled in.
    branch = {"layer1_1_conv1", "layer1_1_rrelu1", "layer1_1_conv2"}
    assert not branch & set(widths(small))


def test_a_wholly_dead_branch_is_its_skip(randomise, gap):
    model = randomise(create("resnet20"))
    set_slope(model, "layer1_1_rrelu1", 0)
    norm = model.get_layer("layer1_1_bn2")
    norm.beta.assign(np.zeros(16))
    norm.moving_mean.assign(np.zeros(16))
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    names = {layer.name for layer in small.layers}
    branch = {
        f"layer1_1_{part}"
        for part in ("conv1", "bn1", "rrelu1", "conv2", "bn2", "add")
    }
    assert not names & branch
    assert "layer1_1_rrelu2" in names


def test_a_dead_outer_activation_cuts_the_stream(randomise, gap, widths):
    model = randomise(create("resnet20"))
    set_slope(model, "layer2_1_rrelu2", 0)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    names = {layer.name for layer in small.layers}
    # What comes before the cut cannot reach the output any more, but for the
    # one channel that carries the shape.
    before = {name: w for name, w in widths(small).items() if "layer1" in name}
    assert all(width == 1 for name, width in before.items() if "rrelu2" in name)
    assert "layer2_2_add" not in names  # its skip is zero
    assert widths(small)["layer3_0_conv1"] == 64


@pytest.mark.parametrize("name", ["wrn_16_1", "resnet20", "fcnn"])
def test_a_model_without_dead_channels_stays_as_it_is(name, randomise, gap):
    model = randomise(create(name))
    small = rrelu_tf.strip(model)
    for a, b in zip(model.get_weights(), small.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert [x.name for x in small.layers if x.weights] == [
        x.name for x in model.layers if x.weights
    ]
    assert gap(model, small) == 0


@pytest.mark.parametrize(
    ("name", "dead"),
    [
        ("wrn_10_1", 0.9),
        ("wrn_10_1", 1.0),
        ("resnet20", 1.0),
        ("fcnn", 1.0),
    ],
)
def test_few_many_and_all_slopes_dead(name, dead, randomise, gap):
    model = randomise(create(name), seed=3, dead=dead)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    assert small.count_params() < model.count_params()
    if dead == 1.0:
        assert all(
            layer.slope.shape == (1,)
            for layer in small.layers
            if isinstance(layer, Rotated)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet32", "resnet56", "wrn_40_2", "wrn_16_4", "wrn_22_3"]
)
@pytest.mark.parametrize("activation", ["rrelu", "rgelu", "rsilu"])
def test_every_family_strips_at_random(name, activation, randomise, gap):
    model = models.create(
        name, num_classes=4, input_shape=(12, 12, 3), activation=activation
    )
    randomise(model, seed=5, dead=0.5)
    small = rrelu_tf.strip(model)
    assert gap(model, small) < 1e-12
    assert small.count_params() < 0.7 * model.count_params()


def authors_rule(model):
    """Zeroes what the authors' counting drops: the filters before a dead a1.

    For each dead slope of a block's first, pre-activation rotated layer it
    drops the same channel of the conv before it in their flat list, which
    makes the residual stream.
    """
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    blocks = [f"block{stage}_{n}" for stage in (1, 2, 3) for n in (0, 1)]
    makers = ["conv1", *(f"{block}_conv2" for block in blocks[:-1])]
    dropped = 0
    for block, maker in zip(blocks, makers, strict=True):
        gone = dead(model, f"{block}_rrelu1")
        kernel = twin.get_layer(maker).kernel
        values = kernel.numpy()
        values[..., gone] = 0
        kernel.assign(values)
        dropped += gone.sum()
    return twin, dropped


def test_the_authors_rule_changes_a_wide_resnets_output_and_ours_does_not(
    randomise, gap
):
    model = randomise(create("wrn_16_1"), dead=0.4)
    theirs, dropped = authors_rule(model)
    assert dropped > 50
    assert gap(model, theirs) > 0.05
    assert gap(model, rrelu_tf.strip(model)) < 1e-12
    with pytest.raises(rrelu_tf.strip.NotEquivalent):
        rrelu_tf.verify(model, theirs)


def test_gathers_stand_only_where_sets_differ(randomise):
    model = randomise(create("wrn_16_1"))
    inner = model.get_layer("block1_0_rrelu2").slope
    inner.assign(np.arange(16) > 5)
    small = rrelu_tf.strip(model)
    assert not [x for x in small.layers if isinstance(x, ChannelGather)]
    outer = model.get_layer("block1_1_rrelu1").slope
    outer.assign(np.arange(16) > 5)
    small = rrelu_tf.strip(model)
    gathers = [x for x in small.layers if isinstance(x, ChannelGather)]
    assert [x.name for x in gathers] == ["block1_1_bn1_gather"]
    assert gathers[0].indices == list(range(6, 16))


# What architectures of other families than those of ReLU rotate.
KINDS = {"vit": "gelu", "mixer": "gelu", "efficientnet": "silu"}
SIDES = {"mobilenet_v1": 9, "vgg13": 32, "vgg16": 32, "vgg19": 32}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["slope", "bn"])
@pytest.mark.parametrize("name", models.names())
def test_every_architecture_stripped_is_the_masked_one(
    name, method, randomise, gap
):
    kinds = (kind for part, kind in KINDS.items() if name.startswith(part))
    kind, side = next(kinds, "relu"), SIDES.get(name, 8)
    model = models.create(
        name,
        num_classes=3,
        input_shape=(side, side, 3),
        activation=f"r{kind}" if method == "slope" else kind,
    )
    norms = [
        x
        for x in model.layers
        if isinstance(x, keras.layers.BatchNormalization)
    ]
    if method == "bn" and not norms:
        pytest.skip(f"{name} has no batch normalisation")
    randomise(model, seed=5)
    generator = np.random.default_rng(8)
    scores = rrelu_tf.score(model, method)
    keep = {k: generator.random(v.shape) < 0.6 for k, v in scores.items()}
    masked = rrelu_tf.mask(model, keep)
    assert gap(model, masked) > 1e-3
    small = rrelu_tf.strip(masked)
    assert gap(masked, small) < 1e-10
    assert small.count_params() < model.count_params()
