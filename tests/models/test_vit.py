"""Vision transformers: sizes, the forward pass written out, and strip."""

import math

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RGELU, Rotated

BLOCKS = range(12)


def create(name="vit_tiny", **options):
    options = {"num_classes": 3, "input_shape": (8, 12, 3), **options}
    return models.create(name, **options)


def unallocated(name, **options):
    """The model's shapes, without the memory of its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return create(name, **options)


def randomise(model):
    """Weights none of which is special, and slopes of both signs."""
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if not variable.dtype.startswith("float"):
            continue
        values = generator.uniform(0.4, 1.1, variable.shape)
        values *= generator.choice((-1.0, 1.0), variable.shape)
        if variable.name == "kernel":
            values /= math.sqrt(math.prod(variable.shape[:-1]))
        variable.assign(values)
    return model


@pytest.fixture(scope="module")
def rotated():
    """A ViT of 6 patches in float64, with dead slopes; left as it is."""
    keras.config.set_dtype_policy("float64")
    model = randomise(create(activation="rgelu"))
    keras.config.set_dtype_policy("float32")
    generator = np.random.default_rng(2)
    for n in BLOCKS:
        slope = model.get_layer(f"block{n}_activation").slope
        alive = generator.random(768) > n / 15  # all in the first block
        slope.assign(slope.numpy() * alive)
    return model


@pytest.mark.parametrize(
    ("name", "parameters", "hidden"),
    [
        ("vit_tiny", 5_717_416, 768),
        ("vit_small", 22_050_664, 1536),
        ("vit_base", 86_567_656, 3072),
    ],
)
def test_parameters_equal_the_public_definition_to_the_unit(
    name, parameters, hidden
):
    imagenet = {"num_classes": 1000, "input_shape": (224, 224, 3)}
    model = unallocated(name, activation="gelu", **imagenet)
    assert model.count_params() == parameters
    assert model.get_layer("positions").positions.shape[0] == 1 + 14 * 14
    model = unallocated(name, activation="rgelu", **imagenet)
    assert model.count_params() == parameters + 12 * hidden


@pytest.mark.parametrize(
    ("sides", "patch_size", "tokens"),
    [
        ((32, 32), None, 64),
        ((28, 28), None, 49),
        ((128, 144), None, 72),
        ((4, 4), None, 1),
        ((32, 32), 8, 16),
        ((224, 224), 32, 49),
        ((5, 10), 5, 2),
    ],
)
def test_patches_tile_the_image(sides, patch_size, tokens):
    model = unallocated(
        "vit_tiny", input_shape=(*sides, 3), patch_size=patch_size
    )
    assert model.get_layer("tokens").output.shape == (None, tokens, 192)
    assert model.get_layer("positions").output.shape == (None, 1 + tokens, 192)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"patch_size": 5}, "patch_size=5"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"patch_size": -4}, "patch_size=-4"),
        ({"patch_size": 2.0}, "patch_size=2.0"),
        ({"patch_size": True}, "patch_size=True"),
        ({"input_shape": (30, 30, 3)}, "patch_size=4"),
        ({"patches": 4}, "patches=4"),
        ({"dropout": 0.1}, "dropout=0.1"),
        ({"name": "vit_huge"}, "name=vit_huge"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(options, received):
    with pytest.raises(UserError) as caught:
        unallocated(**{"name": "vit_tiny"} | options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"Received: {received}")


def test_a_family_lists_its_own_options_and_others_refuse_them():
    with pytest.raises(UserError, match="sync_batch_norm, patch_size"):
        unallocated("vit_tiny", patches=4)
    with pytest.raises(
        UserError, match="sync_batch_norm, width. Rec.*patch_size=4"
    ):
        unallocated("resnet20", patch_size=4)


def test_a_rotated_activation_has_a_slope_for_each_hidden_unit():
    model = unallocated("vit_small", activation="rgelu")
    found = [x for x in model.layers if isinstance(x, Rotated)]
    assert [x.name for x in found] == [f"block{n}_activation" for n in BLOCKS]
    assert {type(x) for x in found} == {RGELU}
    assert {tuple(x.slope.shape) for x in found} == {(1536,)}


def test_weights_begin_as_narrow_normals_and_biases_at_zero():
    model = create()
    kernels = [v for v in model.variables if v.name in ("kernel", "positions")]
    kernels.append(model.get_layer("class_token").token)
    assert len(kernels) == 1 + 2 + 12 * 6 + 1
    for kernel in kernels:
        values = kernel.numpy()
        spread = 0.02 * 0.88  # of a normal truncated at two deviations
        assert values.std() == pytest.approx(spread, rel=0.25)
        assert np.abs(values).max() <= 0.04
    assert len({kernel.numpy().tobytes() for kernel in kernels}) == len(kernels)
    biases = [v for v in model.variables if v.name == "bias"]
    assert not any(np.any(bias.numpy()) for bias in biases)


def norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
    return gamma * centred / np.sqrt(variance + 1e-6) + beta


def linear(x, layer):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def attention(x, layer, heads):
    def projected(part):
        dense = getattr(layer, f"_{part}_dense")
        kernel = dense.kernel.numpy().reshape(x.shape[-1], -1)
        made = x @ kernel + dense.bias.numpy().reshape(-1)
        made = made.reshape(*x.shape[:2], heads, -1)
        return made.transpose(0, 2, 1, 3)  # (batch, head, token, feature)

    query, key, value = map(projected, ("query", "key", "value"))
    logits = query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[-1])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    made = (weights @ value).transpose(0, 2, 1, 3).reshape(x.shape)
    dense = layer._output_dense
    kernel = dense.kernel.numpy().reshape(-1, x.shape[-1])
    return made @ kernel + dense.bias.numpy()


def gelu(x):
    # TensorFlow rounds the root of a half to float32, in float64 too.
    root = float(np.float32(math.sqrt(0.5)))
    return x * 0.5 * (1 + np.vectorize(math.erf)(x * root))


def written_out(model, images, patch, heads):
    """The forward pass of the papers in numpy."""
    layer = model.get_layer
    batch, height, width, channels = images.shape
    x = images.reshape(
        batch, height // patch, patch, width // patch, patch, channels
    )
    x = x.transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, -1, patch * patch * channels)
    kernel = layer("patches").kernel.numpy()
    kernel = kernel.reshape(-1, kernel.shape[-1])
    x = x @ kernel + layer("patches").bias.numpy()
    token = layer("class_token").token.numpy()
    token = np.broadcast_to(token, (batch, 1, len(token)))
    x = np.concatenate([token, x], 1) + layer("positions").positions.numpy()
    for n in BLOCKS:
        mixed = norm(x, layer(f"block{n}_norm1"))
        x = x + attention(mixed, layer(f"block{n}_attention"), heads)
        hidden = norm(x, layer(f"block{n}_norm2"))
        hidden = gelu(linear(hidden, layer(f"block{n}_fc1")))
        hidden = hidden * layer(f"block{n}_activation").slope.numpy()
        x = x + linear(hidden, layer(f"block{n}_fc2"))
    return linear(norm(x[:, 0], layer("norm")), layer("head"))


def test_the_forward_pass_equals_the_written_out_one(rotated):
    images = np.random.default_rng(1).normal(size=(2, 8, 12, 3))
    expected = written_out(rotated, images, patch=4, heads=3)
    found = rotated(images).numpy()
    assert found.dtype == "float64"
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
    assert np.ptp(found, axis=0).max() > 1e-3  # images make a difference


def test_a_dead_slope_frees_fc1s_column_and_fc2s_row(rotated):
    alive = {
        n: np.flatnonzero(rotated.get_layer(f"block{n}_activation").slope)
        for n in BLOCKS
    }
    assert len(alive[0]) == 768
    assert len(alive[11]) < 300
    small = rrelu_tf.strip(rotated)
    for n, kept in alive.items():
        for name, cut in (
            (f"block{n}_fc1", (slice(None), kept)),
            (f"block{n}_fc2", (kept, slice(None))),
        ):
            before = rotated.get_layer(name).kernel.numpy()
            after = small.get_layer(name).kernel.numpy()
            assert np.array_equal(after, before[cut])
        for name, weight in (("fc1", "bias"), ("activation", "slope")):
            before = getattr(rotated.get_layer(f"block{n}_{name}"), weight)
            after = getattr(small.get_layer(f"block{n}_{name}"), weight)
            assert np.array_equal(after.numpy(), before.numpy()[kept])
    freed = sum(768 - len(kept) for kept in alive.values())
    # A column, a bias, a slope and a row for each.
    assert rotated.count_params() - small.count_params() == freed * (
        192 * 2 + 2
    )
    assert rrelu_tf.verify(rotated, small).relative < 1e-12


@pytest.mark.slow
def test_a_wholly_dead_mlp_leaves_its_bias_to_the_stream(rotated):
    model = keras.models.clone_model(rotated)
    model.set_weights(rotated.get_weights())
    slope = model.get_layer("block3_activation").slope
    slope.assign(np.zeros(768))
    small = rrelu_tf.strip(model)
    assert rrelu_tf.verify(model, small).relative < 1e-12
    assert small.count_params() < model.count_params() - 767 * (192 * 2 + 2)


def test_a_model_survives_saving_and_loading(tmp_path):
    model = create(activation="rgelu")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    assert np.array_equal(model(x), loaded(x))


def test_mixed_precision_keeps_float32_weights_and_inputs():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = create(activation="rgelu")
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert model.inputs[0].dtype == "float32"
    assert model(np.ones((1, 8, 12, 3), "float32")).dtype.name == "bfloat16"


@pytest.mark.parametrize("activation", ["relu", "silu", "rrelu", "rsilu"])
def test_other_activations_work_as_well(activation):
    model = unallocated("vit_tiny", activation=activation)
    layer = model.get_layer("block0_activation")
    assert isinstance(layer, Rotated) == activation.startswith(("rr", "rs"))
