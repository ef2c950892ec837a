"""Several steps in one execution: the same run."""

import csv
import types

import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints, trainer
from rrelu_tf.training.recipe import Recipe

# Of the digits' training images, in batches of 108: 12 steps.
OPTIONS = {"arch": "fcnn", "epochs": 2, "batch_size": 108}


@pytest.mark.parametrize(
    ("arch", "dtype"),
    [
        ("fcnn", "float64"),
        ("resnet8", "float32"),
        pytest.param("resnet8", "float64", marks=pytest.mark.slow),
    ],
)
def test_steps_in_one_execution_give_the_same_weights(tmp_path, arch, dtype):
    keras.config.set_dtype_policy(dtype)
    runs = [
        trainer.train(
            Recipe(**OPTIONS | {"arch": arch}, steps_per_execution=steps),
            tmp_path / str(steps),
        )
        for steps in (1, 4)
    ]
    expected = runs[0].last().get_weights()
    assert {array.dtype.name for array in expected} == {dtype}
    for run in runs[1:]:
        for a, b in zip(expected, run.last().get_weights(), strict=True):
            assert np.array_equal(a, b)
        assert rows(run) == rows(runs[0])


def test_a_run_killed_after_an_epoch_goes_on_to_the_same_end(
    tmp_path, monkeypatch
):
    recipe = Recipe(**OPTIONS, steps_per_execution=4)
    whole = trainer.train(recipe, tmp_path / "whole")
    write = checkpoints.write

    def killed(folder, checkpoint):
        if checkpoint.epoch == 2:
            raise Killed
        write(folder, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", killed)
        with pytest.raises(Killed):
            trainer.train(recipe, tmp_path / "run")
    assert checkpoints.latest(tmp_path / "run" / "checkpoints").epoch == 1
    run = trainer.train(recipe, tmp_path / "run")
    assert rows(run) == rows(whole)
    for one, other in zip(state(run), state(whole), strict=True):
        assert np.array_equal(one, other)


class Killed(Exception):
    """Stands for SIGKILL."""


def state(run):
    """The weights of a run's last checkpoint, and of its optimizer."""
    last = checkpoints.latest(run.checkpoints)
    return [*last.model, *last.optimizer]


def test_a_loss_that_is_not_finite_names_the_steps_of_its_execution(tmp_path):
    recipe = Recipe(**OPTIONS, steps_per_execution=4, learning_rate=1e30)
    with pytest.raises(
        UserError, match=r"epoch 1, step 1 to 4; .*loss=(nan|inf)"
    ):
        trainer.train(recipe, tmp_path / "run")
    assert checkpoints.latest(tmp_path / "run" / "checkpoints").epoch == 0


def rows(run):
    """What the run's table says, but of time."""
    with open(run.metrics, newline="") as file:
        return [
            {name: x for name, x in row.items() if "second" not in name}
            for row in csv.DictReader(file)
        ]


def test_steps_that_do_not_divide_an_epoch_are_refused_at_once(tmp_path):
    recipe = Recipe(**OPTIONS, steps_per_execution=5)
    with pytest.raises(UserError, match="Received: steps_per_execution=5$"):
        trainer.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_replicas_take_one_step_at_a_time():
    recipe = Recipe(**OPTIONS, steps_per_execution=12)
    devices = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(UserError, match="Received: steps_per_execution=12$"):
        trainer._prepare(recipe, devices)
