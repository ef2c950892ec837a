"""Which runs are one recipe, and what is said of their spread."""

import numpy as np
import pytest

from rrelu_tf.reporting.groups import group


def test_runs_that_differ_in_the_seed_alone_are_one_recipe(result):
    runs = [
        result(seed=2, flops=500),
        result(activation="relu", flops=500),
        result(seed=0, flops=400),
    ]
    first, second = group(runs)
    assert first.seeds == [0, 2]
    assert first.first is runs[2]
    assert second.seeds == [0]
    assert first.flags == second.flags == {}


@pytest.mark.parametrize(
    "other, flags",
    [
        ({"weight_decay": 1e-3}, {"weight_decay": 1e-3}),
        ({"epochs": 3}, {"epochs": 3}),
        ({"flops": None}, {"pruned": False}),
        ({"notes": {"checkpoint": "best"}}, {"pruned_checkpoint": "best"}),
        ({"data": "digits, another copy"}, {}),
        ({"arch": "fcnn", "weight_decay": 1e-3}, {}),
    ],
)
def test_anything_else_makes_another_recipe(result, other, flags):
    one, two = group([result(flops=500), result(**{"flops": 500, **other})])
    assert two.flags == flags
    assert set(one.flags) == set(flags)


def test_what_does_not_change_the_results_is_no_recipe(result):
    runs = [
        result(seed=s, deterministic=bool(s), monitor_zeta=s) for s in (0, 1)
    ]
    assert len(group(runs)) == 1


def test_spread_is_the_sample_s(result):
    accuracies = [0.90, 0.92, 0.97]
    (whole,) = group(
        [result(seed=s, accuracy=a) for s, a in enumerate(accuracies)]
    )
    mean, deviation = whole.spread(lambda run: run.accuracy)
    assert mean == pytest.approx(np.mean(accuracies))
    assert deviation == pytest.approx(np.std(accuracies, ddof=1))


def test_a_single_run_has_no_spread_and_unknown_none_at_all(result):
    (single,) = group([result(accuracy=0.5)])
    assert single.spread(lambda run: run.accuracy) == (0.5, None)
    assert single.spread(lambda run: run.saving("flops")) == (None, None)
