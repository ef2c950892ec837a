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


def test_runs_that_go_on_from_their_own_seed_s_model_are_one_recipe(
    result, origin
):
    runs = [
        result(start=f"runs/a{seed}/model.keras", seed=seed, origin=found)
        for seed in (0, 1, 2)
        for found in (origin(seed=seed),)
    ]
    assert [one.seeds for one in group(runs)] == [[0, 1, 2]]
    others = [
        result(start="b.keras", origin=origin(weight_decay=1e-3)),
        result(start="c.keras", origin=origin(score="bn")),
        result(),
    ]
    first, *found = group([*runs, *others])
    assert first.seeds == [0, 1, 2]
    assert first.flags["start"] == "pruned resnet20"
    flags = [one.flags for one in found]
    assert flags[0]["start_weight_decay"] == 1e-3
    assert flags[1]["start_score"] == "bn"
    assert flags[2]["start"] == "scratch"


def test_seeds_that_go_on_from_one_seed_s_model_are_another_recipe(
    result, origin
):
    start = {"start": "model.keras", "origin": origin(seed=0)}
    same = [result(seed=seed, **start) for seed in (0, 1, 2)]
    assert [one.seeds for one in group(same)] == [[0, 1, 2]]
    own = [result(seed=s, start="m", origin=origin(seed=s)) for s in (1, 2)]
    assert [one.seeds for one in group([*same, *own])] == [[0, 1, 2], [1, 2]]


def test_where_only_a_path_is_known_its_seed_is_left_out(result):
    paths = ["runs/x-seed0/a.keras", "runs/x-seed11/a.keras"]
    runs = [
        result(seed=seed, start=path)
        for seed, path in zip((0, 11), paths, strict=True)
    ]
    assert [one.seeds for one in group(runs)] == [[0, 11]]
    runs.append(result(seed=1, start=paths[1]))
    assert [one.seeds for one in group(runs)] == [[0, 11], [1]]


def test_a_seed_that_could_not_be_pruned_stays_with_its_recipe(result):
    runs = [
        result(seed=0, flops=500, accuracy=0.9),
        result(seed=1, accuracy=0.8),
        result(seed=2, flops=400, accuracy=0.9),
    ]
    (whole,) = group(runs)
    assert (whole.seeds, whole.whole) == ([0, 1, 2], 1)
    saved = whole.spread(lambda run: run.saving("flops"))
    assert saved[0] == pytest.approx(np.mean([0.5, 0, 0.6]))
    accuracy = whole.spread(lambda run: run.final_accuracy)
    assert accuracy[0] == pytest.approx(np.mean([0.89, 0.8, 0.89]))
    zetas = whole.spread(lambda run: run.pruned.notes["zeta"], whole=False)
    assert zetas == (pytest.approx(0.1), pytest.approx(0.0))


def test_a_run_belongs_to_no_pruning_where_there_are_two(result):
    runs = [
        result(seed=0, flops=500),
        result(seed=1, flops=500, notes={"score": "bn"}),
        result(seed=2),
    ]
    assert [one.seeds for one in group(runs)] == [[0], [1], [2]]


def test_a_group_at_a_tolerance_has_its_runs_pruned_at_it(result):
    runs = [
        result(seed=0, curve={0.5: None, 2.0: 500}),
        result(seed=1, curve={0.5: 900, 2.0: 700}),
        result(seed=2),  # nothing could go at any
    ]
    (one,) = group(runs)
    assert one.tolerances == [0.5, 2.0]
    assert one.whole == 0

    def saved(run):
        return run.saving("flops")

    for tolerance, savings in {0.5: (0, 0.1, 0), 2.0: (0.5, 0.3, 0)}.items():
        then = one.at(tolerance)
        assert then.whole == savings.count(0)
        mean, deviation = then.spread(saved)
        assert mean == pytest.approx(np.mean(savings))
        assert deviation == pytest.approx(np.std(savings, ddof=1))
    trained = one.at(None)
    assert [run.final_accuracy for run in trained.results] == [0.9] * 3
    assert trained.spread(saved) == (0, 0)


def test_a_seed_with_a_curve_belongs_to_those_pruned_alike(result):
    runs = [
        result(seed=0, flops=500, curve={1.0: 500}),
        result(seed=1, curve={1.0: 600}),  # at the tolerance of `pruned` none
    ]
    (one,) = group(runs)
    assert one.whole == 1
    assert one.at(1.0).whole == 0
