"""What a run notes of the model that it starts from."""

import json

import keras
import pytest

from rrelu_tf.training import origin, trainer
from rrelu_tf.training.recipe import Recipe

SHORT = {"epochs": 1, "batch_size": 512, "deterministic": False}


@pytest.fixture
def plain(tmp_path):
    recipe = Recipe(arch="fcnn", activation="relu", seed=3, **SHORT)
    return trainer.train(recipe, tmp_path / "plain")


def test_a_run_retrained_from_another_is_of_its_architecture(plain, tmp_path):
    recipe = Recipe(start=str(plain.path), **SHORT)
    run = trainer.train(recipe, tmp_path / "run")
    noted = json.loads((run.path / "run.json").read_text())["origin"]
    assert run.network == noted["network"] == "fcnn"
    assert noted["flags"]["seed"] == 3
    # 500 slopes came to 64 x 500 + 500 + 500 x 10 + 10 parameters.
    assert noted["dense"] == noted["costs"]
    assert noted["costs"] == {
        "parameters": 38_010,
        "weights": 37_000,
        "flops": 74_000,
    }
    assert "pruning" not in noted
    again = origin.of(run.path)
    assert (again["dense"], again["origin"]) == (noted["dense"], noted)


@pytest.mark.parametrize("manifest", [None, "", "[]", '{"origin": 5}', "{}"])
def test_of_a_file_without_a_whole_manifest_the_name_is_known(
    manifest, tmp_path
):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    found = origin.of(tmp_path / "net.keras")
    assert found == {"network": "net"}
    assert origin.of(tmp_path) == {"network": tmp_path.name}


def test_costs_are_the_profile_s():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    assert origin.costs(model) == {
        "parameters": 15,
        "weights": 12,
        "flops": 24,
    }
