"""Several steps in one execution: the same run."""

import csv
import types

import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import trainer
from rrelu_tf.training.recipe import Recipe

# Of the digits' training images, in batches of 108: 12 steps.
OPTIONS = {"arch": "fcnn", "epochs": 2, "batch_size": 108}


@pytest.mark.parametrize("arch", ["fcnn", "resnet8"])
def test_steps_in_one_execution_give_the_same_weights(tmp_path, arch):
    runs = [
        trainer.train(
            Recipe(**OPTIONS | {"arch": arch}, steps_per_execution=steps),
            tmp_path / str(steps),
        )
        for steps in (1, 4, 12)
    ]
    expected = runs[0].last().get_weights()
    for run in runs[1:]:
        for a, b in zip(expected, run.last().get_weights(), strict=True):
            assert np.array_equal(a, b)
        assert rows(run) == rows(runs[0])


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
