"""Runs with --orthoreg: the penalty at work, and where it must be gone."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf import filters
from rrelu_tf.analysis import orthogonality
from rrelu_tf.errors import UserError
from rrelu_tf.orthogonalization import is_orthogonalized
from rrelu_tf.training import building, checkpoints, trainer
from rrelu_tf.training.recipe import Recipe

# TensorFlow's determinism cannot be switched off again for other tests.
RECIPE = Recipe(
    arch="resnet8",
    orthoreg=1e-2,
    weight_decay=0.0,
    epochs=2,
    batch_size=512,
    deterministic=False,
)
CONVS = 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run, and its model's weights after every epoch."""
    weights = {}
    write = checkpoints.write

    def noting(folder, checkpoint):
        weights[checkpoint.epoch] = checkpoint
        write(folder, checkpoint)

    path = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "write", noting)
        return trainer.train(RECIPE, path), weights


@pytest.fixture
def run(trained):
    return trained[0]


@pytest.fixture
def models(trained):
    """The model after 0, 1 and 2 epochs."""
    made = []
    for epoch in (0, 1, 2):
        made.append(trained[0].last())
        checkpoints.restore(trained[1][epoch], made[-1])
    return made


def penalty(model):
    return float(sum(model.losses))


def test_filters_come_closer_to_orthonormality(models):
    assert len(models[2].losses) == CONVS
    assert penalty(models[2]) < penalty(models[1]) < penalty(models[0])


def test_each_layers_degree_is_written_once_an_epoch(run, models):
    seen = {}
    for file in run.tensorboard.iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag.startswith("orthogonality/"):
                    scalar = float(tf.make_ndarray(value.tensor))
                    key = value.tag.removeprefix("orthogonality/")
                    seen.setdefault(key, {})[event.step] = scalar
    assert len(seen) == CONVS
    for epoch, model in enumerate(models):
        wanted = orthogonality(model)
        found = {key: degrees[epoch] for key, degrees in seen.items()}
        assert found == pytest.approx(wanted, rel=1e-6)


def test_a_run_goes_on_with_its_penalty(run, tmp_path, capsys):
    copy = shutil.copytree(run.path, tmp_path / "run")
    for name in ("report.json", "report.md"):
        (copy / name).unlink()
    checkpoints.path_of(copy / "checkpoints", 2).unlink()
    again = trainer.train(RECIPE, copy)
    assert "going on after epoch 1 of 2" in capsys.readouterr().out
    for old, new in zip(
        run.last().variables, again.last().variables, strict=True
    ):
        np.testing.assert_allclose(old, new, rtol=2e-3, atol=2e-4)


@pytest.fixture
def pruned(run, tmp_path):
    """(the run's model, the file of what is left of it)."""
    model = run.last()
    keep = rrelu_tf.select(rrelu_tf.score(model, "slope"), sparsity=0.4)
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    small.save(tmp_path / "small.keras")
    return model, tmp_path / "small.keras"


def test_a_pruned_model_keeps_the_weights_of_its_layers(pruned):
    model, file = pruned
    small = keras.saving.load_model(file)
    before, after = ({f.key: f for f in filters.of(m)} for m in (model, small))
    assert after["layer1_0_conv1"].count < before["layer1_0_conv1"].count
    for key, found in after.items():
        old = before[key].layer.kernel_regularizer.get_config()
        assert found.layer.kernel_regularizer.get_config() == old
    assert len(small.losses) == len(after)


def test_fine_tuning_takes_the_penalty_off_or_weighs_it_anew(pruned):
    _, file = pruned
    plain = Recipe(start=str(file))
    model = building.make_model(plain, 10, (8, 8, 1), file)
    assert model.losses == [] and not is_orthogonalized(model)
    anew = Recipe(start=str(file), orthoreg=0.1)
    model = building.make_model(anew, 10, (8, 8, 1), file)
    found = [f.layer.kernel_regularizer for f in filters.of(model)]
    assert sum(one.weight for one in found) == pytest.approx(1)
    assert {one.factor for one in found} == {0.1}


def test_the_flags_of_a_run_name_it(run):
    flags = json.loads((run.path / "run.json").read_text())["flags"]
    assert flags["orthoreg"] == 1e-2 and flags["protocol"] == "correct"


def test_zero_is_off():
    model = building.make_model(Recipe(arch="resnet8"), 10, (8, 8, 1))
    assert model.losses == [] and not is_orthogonalized(model)


def test_slope_and_orthoreg_penalties_go_together():
    recipe = Recipe(arch="resnet8", orthoreg=0.1, slope_l1=0.01)
    model = building.make_model(recipe, 10, (8, 8, 1))
    slopes = [x for x in model.layers if hasattr(x, "slope")]
    assert len(model.losses) == CONVS + len(slopes) > CONVS


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"orthoreg": -1.0}, "orthoreg=-1.0"),
        ({"orthoreg": float("nan")}, "orthoreg=nan"),
        ({"protocol": "paper", "orthoreg": 1.0}, "protocol=paper"),
        ({"protocol": "seed"}, "protocol=seed"),
        ({"arch": "fcnn", "orthoreg": 0.1}, "orthoreg=0.1"),
        ({"protocol": "seed", "orthoreg": 0.1}, "model=resnet20"),
    ],
)
def test_what_makes_no_sense_is_refused_before_data_load(options, received):
    with pytest.raises(UserError, match=f"Received: {received}$"):
        building.check(Recipe(**options))


def test_a_recipe_without_mistake_passes():
    building.check(RECIPE)
    building.check(Recipe(arch="resnet34", orthoreg=0.1, protocol="seed"))
