"""Several steps in one execution: the same run."""

import types

import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import trainer
from rrelu_tf.training.recipe import Recipe

# Of the digits' training images, in batches of 100: 13 steps.
OPTIONS = {"arch": "fcnn", "epochs": 2, "batch_size": 100}


def test_steps_in_one_execution_give_the_same_weights(tmp_path):
    runs = [
        trainer.train(
            Recipe(**OPTIONS, steps_per_execution=steps),
            tmp_path / str(steps),
        )
        for steps in (1, 13)
    ]
    first, second = (run.last().get_weights() for run in runs)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a, b)
    tables = [
        [line.split(",")[:2] for line in run.metrics.read_text().splitlines()]
        for run in runs
    ]
    assert tables[0] == tables[1]


def test_steps_that_do_not_divide_an_epoch_are_refused(tmp_path):
    recipe = Recipe(**OPTIONS, steps_per_execution=5)
    with pytest.raises(UserError, match="Received: steps_per_execution=5$"):
        trainer.train(recipe, tmp_path / "run")


def test_several_replicas_take_one_step_at_a_time():
    recipe = Recipe(**OPTIONS, steps_per_execution=13)
    devices = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(UserError, match="Received: steps_per_execution=13$"):
        trainer._prepare(recipe, devices)
