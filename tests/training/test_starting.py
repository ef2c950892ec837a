"""Runs that start from a model: fine-tuning, and trained weights rotated."""

import shutil

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.training import building, checkpoints, penalties, trainer
from rrelu_tf.training.recipe import Recipe
from rrelu_tf.training.run_folder import Run


def recipe(start, **options):
    return Recipe(
        start=str(start),
        **{"epochs": 1, "batch_size": 512, "deterministic": False, **options},
    )


@pytest.fixture
def pruned(tmp_path):
    """A stripped model's file: 3 of 5 hidden units are left."""
    i = keras.Input((8, 8, 1))
    x = keras.layers.Dense(5, name="hidden")(keras.layers.Flatten()(i))
    x = rrelu_tf.layers.RReLU(name="act")(x)
    model = keras.Model(i, keras.layers.Dense(10, name="head")(x))
    keep = {"act": np.array([1, 0, 1, 1, 0], bool)}
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    small.save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


@pytest.fixture
def plain(tmp_path):
    model = rrelu_tf.models.create(
        "fcnn", num_classes=10, input_shape=(8, 8, 1), activation="relu"
    )
    model.save(tmp_path / "plain.keras")
    return tmp_path / "plain.keras"


def test_a_stripped_model_is_fine_tuned_at_its_width(pruned, tmp_path):
    run = trainer.train(recipe(pruned, epochs=2), tmp_path / "run")
    assert run.last().get_layer("hidden").units == 3
    report = (run.path / "report.json").read_text()
    assert '"parameters": 238' in report


def test_a_plain_model_is_rotated_with_slopes_of_one(plain, tmp_path):
    run = trainer.train(recipe(plain), tmp_path / "run")
    first = checkpoints.read(run.checkpoints, 0)
    model = run.last()
    checkpoints.restore(first, model)
    (rotated,) = [x for x in model.layers if isinstance(x, Rotated)]
    np.testing.assert_array_equal(rotated.slope, 1.0)
    source = keras.saving.load_model(plain)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1))
    np.testing.assert_allclose(source(images), model(images), atol=1e-5)


def test_a_run_of_another_network_is_rotated_and_trained_on(tmp_path):
    shared = {"epochs": 1, "batch_size": 512, "deterministic": False}
    plain = Recipe(arch="fcnn", activation="relu", **shared)
    source = trainer.train(plain, tmp_path / "plain")
    run = trainer.train(recipe(source.path), tmp_path / "run")
    first = checkpoints.read(run.checkpoints, 0)
    model = run.last()
    checkpoints.restore(first, model)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1))
    np.testing.assert_allclose(source.best()(images), model(images), atol=1e-5)
    shutil.rmtree(source.path)
    assert run.last().get_layer("rrelu1").slope.shape == (500,)


@pytest.mark.parametrize(
    "slope_l1, gamma_l1", [(0.0, 0.0), (0.0, 3e-3), (2e-3, 0.0)]
)
def test_the_l1_penalties_are_the_recipes(slope_l1, gamma_l1, tmp_path):
    model = rrelu_tf.models.create(
        "resnet8", num_classes=10, input_shape=(8, 8, 1), activation="rrelu"
    )
    penalties.give(model, slope_l1=0.25, gamma_l1=0.125)
    model.save(tmp_path / "penalized.keras")
    given = recipe(
        tmp_path / "penalized.keras", slope_l1=slope_l1, gamma_l1=gamma_l1
    )
    again = building.make_model(given, 10, (8, 8, 1), given.start)
    slopes = [x.slope for x in again.layers if isinstance(x, Rotated)]
    gammas = [x.gamma for x in again.layers if hasattr(x, "gamma")]
    expected = sum(slope_l1 * np.abs(w).sum() for w in slopes)
    expected += sum(gamma_l1 * np.abs(w).sum() for w in gammas)
    assert slopes and gammas
    assert float(sum(again.losses)) == pytest.approx(expected, rel=1e-5)


def test_fine_tuning_takes_the_penalties_of_the_first_run_off(tmp_path):
    shared = {"epochs": 1, "batch_size": 512, "deterministic": False}
    first = Recipe(arch="fcnn", slope_l1=0.25, **shared)
    source = trainer.train(first, tmp_path / "first")
    assert source.last().losses
    run = trainer.train(recipe(source.path), tmp_path / "run")
    assert run.last().losses == [] == run.best().losses


def test_a_run_to_start_from_must_be_one(tmp_path):
    with pytest.raises(UserError, match=f"Received: start={tmp_path}$"):
        trainer.train(recipe(tmp_path), tmp_path / "run")


def test_the_activation_is_that_of_the_model(plain, pruned, tmp_path):
    for start in (plain, pruned):
        given = recipe(start, activation="rgelu")
        with pytest.raises(UserError, match="rrelu.*Received: activation=rge"):
            trainer.train(given, tmp_path / "run")


def test_a_plain_model_stays_plain_with_a_plain_activation(plain, tmp_path):
    given = recipe(plain, activation="relu")
    run = trainer.train(given, tmp_path / "run")
    assert not [x for x in run.last().layers if isinstance(x, Rotated)]


@pytest.mark.parametrize("name", ["small.keras", "start.keras"])
def test_a_run_needs_the_file_no_longer_once_it_has_begun(
    name, pruned, tmp_path
):
    pruned = pruned.rename(tmp_path / name)
    run = trainer.train(recipe(pruned), tmp_path / "run")
    pruned.unlink()
    (run.path / "report.md").unlink()
    trainer.train(recipe(pruned), run.path)
    assert Run.open(run.path).last().get_layer("hidden").units == 3


def test_models_that_do_not_fit_are_refused(pruned, plain, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(UserError, match="Received: activation=relu$"):
        trainer.train(recipe(pruned, activation="relu"), path)
    with pytest.raises(UserError, match=r"must exist. Received: start=.*gone"):
        trainer.train(recipe(tmp_path / "gone.keras"), path)
    i = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(i)
    for classes, name in ((3, "three"), (10, "ten")):
        model = keras.Model(i, keras.layers.Dense(classes, "relu")(x))
        model.save(tmp_path / f"{name}.keras")
    with pytest.raises(UserError, match="one logit per class.*classes=10$"):
        trainer.train(recipe(tmp_path / "three.keras"), path)
    soft = keras.layers.Dense(10, "softmax", name="soft")
    hidden = keras.layers.Dense(4, "relu")(x)
    keras.Model(i, soft(hidden)).save(tmp_path / "soft.keras")
    with pytest.raises(UserError, match="Received: layer=soft$"):
        trainer.train(recipe(tmp_path / "soft.keras"), path)
    half = keras.layers.Dense(10, "relu", dtype="mixed_float16", name="half")
    keras.Model(i, half(x)).save(tmp_path / "half.keras")
    with pytest.raises(UserError, match="Received: half=float16$"):
        trainer.train(recipe(tmp_path / "half.keras"), path)
    shutil.copy(pruned, tmp_path / "cut.keras")
    (tmp_path / "cut.keras").write_bytes(pruned.read_bytes()[:500])
    with pytest.raises(UserError, match="Received: start=.*cut.keras$"):
        trainer.train(recipe(tmp_path / "cut.keras"), path)
    assert not path.exists()


@pytest.mark.parametrize(
    "option",
    [{"arch": "fcnn"}, {"mixed_precision": "bfloat16"}],
)
def test_what_the_model_decides_is_not_asked_for(option, pruned):
    with pytest.raises(UserError, match="is that of the model to start from"):
        recipe(pruned, **option)
