"""A round of two trainings: plain, then with OrthoReg."""

import numpy as np
import pytest

from rrelu_tf.rounds import running
from rrelu_tf.rounds.base import Base
from rrelu_tf.rounds.plan import Plan
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe
from rrelu_tf.training.run_folder import Run

RECIPE = Recipe(
    arch="resnet8_b",
    arch_options=("width=0.25",),
    activation="relu",
    epochs=1,
    batch_size=512,
    deterministic=False,
)


@pytest.mark.slow
def test_the_second_goes_on_from_the_epoch_that_is_asked_for(
    tmp_path, monkeypatch
):
    data = building.load_data(RECIPE)
    model = building.create_model(RECIPE, data.num_classes, data.image_shape)
    plan = Plan(
        score="l1",
        sparsity=0.5,
        which="best",
        retrain_which="last",
        retrain_epochs=("2+1",),
        retraining={"learning_rate": 1e-3, "schedule": "constant"},
    )
    monkeypatch.setattr(Run, "best_epoch", 1)
    running.run(Base(model, RECIPE, {}, {}), plan, tmp_path / "out", data)
    plain, second = (
        Run.open(tmp_path / "out" / name) for name in ("plain1", "round1")
    )
    assert not np.array_equal(*map(_bytes, (plain.last(), plain.best())))
    start = building.starting.load(second.path / "start.keras", "relu")
    assert _bytes(start) == _bytes(plain.last())
    assert second.network == "resnet8_b"
    assert second.recipe.orthoreg == 0.01


def _bytes(model):
    return [np.asarray(w).tobytes() for w in model.weights]
