"""MLP-Mixers: sizes, the forward pass written out, and strip."""

import math

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated, RSiLU

BLOCKS = range(8)
PARTS = [f"block{n}_{part}" for n in BLOCKS for part in ("tokens", "channels")]


def create(name="mixer_s", **options):
    options = {"num_classes": 3, "input_shape": (8, 12, 3), **options}
    return models.create(name, **options)


def unallocated(name, **options):
    """The model's shapes, without the memory of its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return create(name, **options)


@pytest.fixture(scope="module")
def rotated():
    """A mixer over 6 patches in float64, with dead slopes; left as it is."""
    keras.config.set_dtype_policy("float64")
    model = create(activation="rsilu")
    keras.config.set_dtype_policy("float32")
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        values = generator.uniform(0.4, 1.1, variable.shape)
        values *= generator.choice((-1.0, 1.0), variable.shape)
        if variable.name == "kernel":
            values /= math.sqrt(math.prod(variable.shape[:-1]))
        if variable.name == "slope":
            values *= generator.random(variable.shape) > 0.4
        variable.assign(values)
    return model


@pytest.mark.parametrize(
    ("name", "parameters", "hidden"),
    [
        ("mixer_s", 18_528_264, 8 * (256 + 2048)),
        ("mixer_b", 59_880_472, 12 * (384 + 3072)),
    ],
)
def test_parameters_equal_the_public_definition_to_the_unit(
    name, parameters, hidden
):
    imagenet = {"num_classes": 1000, "input_shape": (224, 224, 3)}
    model = unallocated(name, activation="gelu", **imagenet)
    assert model.count_params() == parameters
    model = unallocated(name, activation="rgelu", **imagenet)
    assert model.count_params() == parameters + hidden


@pytest.mark.parametrize(
    ("sides", "patch_size", "tokens"),
    [((32, 32), None, 64), ((160, 128), None, 80), ((32, 32), 16, 4)],
)
def test_patches_tile_the_image(sides, patch_size, tokens):
    model = unallocated(
        "mixer_b", input_shape=(*sides, 3), patch_size=patch_size
    )
    assert model.get_layer("tokens").output.shape == (None, tokens, 768)


def test_patches_that_do_not_tile_are_refused():
    with pytest.raises(UserError, match="both sides.* Received: patch_size=7$"):
        unallocated("mixer_s", patch_size=7)


def test_both_mlps_have_a_slope_for_each_hidden_unit():
    model = unallocated("mixer_s", activation="rsilu")
    found = [x for x in model.layers if isinstance(x, Rotated)]
    assert [x.name for x in found] == [f"{part}_activation" for part in PARTS]
    assert {type(x) for x in found} == {RSiLU}
    assert [x.slope.shape[0] for x in found] == [256, 2048] * len(BLOCKS)


def norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
    return gamma * centred / np.sqrt(variance + 1e-6) + beta


def linear(x, layer):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def mlp(model, x, name):
    x = linear(x, model.get_layer(f"{name}_fc1"))
    x = (
        model.get_layer(f"{name}_activation").slope.numpy()
        * x
        / (1 + np.exp(-x))
    )
    return linear(x, model.get_layer(f"{name}_fc2"))


def written_out(model, images, patch):
    """The forward pass of the paper in numpy."""
    batch, height, width, channels = images.shape
    x = images.reshape(
        batch, height // patch, patch, width // patch, patch, channels
    )
    x = x.transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, -1, patch * patch * channels)
    kernel = model.get_layer("patches").kernel.numpy()
    kernel = kernel.reshape(-1, kernel.shape[-1])
    x = x @ kernel + model.get_layer("patches").bias.numpy()
    for part in PARTS:
        branch = norm(x, model.get_layer(f"{part}_norm"))
        if part.endswith("tokens"):
            branch = mlp(model, branch.transpose(0, 2, 1), part)
            branch = branch.transpose(0, 2, 1)
        else:
            branch = mlp(model, branch, part)
        x = x + branch
    x = norm(x, model.get_layer("norm")).mean(1)
    return linear(x, model.get_layer("head"))


def test_the_forward_pass_equals_the_written_out_one(rotated):
    images = np.random.default_rng(1).normal(size=(2, 8, 12, 3))
    expected = written_out(rotated, images, patch=4)
    found = rotated(images).numpy()
    assert np.abs(found - expected).max() < 1e-10 * np.abs(expected).max()
    assert np.ptp(found, axis=0).max() > 1e-3  # images make a difference


def test_dead_slopes_free_units_of_both_mlps(rotated):
    small = rrelu_tf.strip(rotated)
    freed = 0
    for part in PARTS:
        slope = rotated.get_layer(f"{part}_activation").slope.numpy()
        kept = np.flatnonzero(slope)
        first, second = (f"{part}_fc1", f"{part}_fc2")
        width = rotated.get_layer(second).units
        freed += np.sum(slope == 0) * (2 * width + 2)
        assert np.array_equal(
            small.get_layer(first).kernel,
            rotated.get_layer(first).kernel.numpy()[:, kept],
        )
        assert np.array_equal(
            small.get_layer(second).kernel,
            rotated.get_layer(second).kernel.numpy()[kept],
        )
    assert rotated.count_params() - small.count_params() == freed
    images = np.random.default_rng(3).normal(size=(4, 8, 12, 3))
    before, after = rotated(images).numpy(), small(images).numpy()
    assert np.abs(before - after).max() < 1e-12 * np.abs(before).max()


def test_a_model_survives_saving_and_loading(tmp_path):
    model = create(activation="rgelu")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    assert np.array_equal(model(x), loaded(x))
