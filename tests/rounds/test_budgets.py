"""Rounds by a budget: each is met, and the last one is what was asked for."""

import json
import types

import keras
import pytest

import rrelu_tf
from rrelu_tf.analysis import latency
from rrelu_tf.errors import NothingGoes
from rrelu_tf.rounds import running
from rrelu_tf.rounds.base import Base
from rrelu_tf.rounds.cutting import cut
from rrelu_tf.rounds.plan import Plan
from rrelu_tf.training import building
from rrelu_tf.training.recipe import Recipe

RECIPE = Recipe(arch="fcnn", activation="relu", deterministic=False)


@pytest.fixture
def time_by_flops(monkeypatch):
    """Latency as the FLOPs: no test goes by the machine's speed."""

    def compare(before, after, *_, **__):
        costs = [rrelu_tf.profile(model).flops for model in (before, after)]
        times = [types.SimpleNamespace(cpu_ms=c, wall_ms=c) for c in costs]
        return types.SimpleNamespace(
            before=times[0], after=times[1], cpu_ratio=costs[1] / costs[0]
        )

    monkeypatch.setattr(latency, "compare", compare)


@pytest.mark.parametrize("name", ["flops", "params", "latency"])
def test_two_rounds_end_at_the_budget(name, tmp_path, time_by_flops):
    data = building.load_data(RECIPE)
    model = building.create_model(RECIPE, data.num_classes, data.image_shape)
    asked = {"score": "l1", "rounds": 2, "retrain_epochs": ("0",), name: 0.5}
    running.run(
        Base(model, RECIPE, {}, {}), Plan(**asked), tmp_path / "out", data
    )
    figures = json.loads((tmp_path / "out" / "report.json").read_text())
    cost = "parameters" if name == "params" else "flops"
    whole, (one, two) = figures["before"][cost], figures["rounds"]
    assert two["before"] == one["after"]
    slack = 0.06 if name == "latency" else 0.01  # a search ends within 5 %
    for left, wanted in ((one["after"], 2 / 3), (two["after"], 1 / 2)):
        assert wanted - slack < left[cost] / whole <= wanted


@pytest.mark.parametrize(
    "amount", [{"params": 0.5}, {"flops": 0.5}, {"thresholds": (50.0, 50.1)}]
)
def test_a_round_that_finds_it_done_leaves_all_there_is(amount):
    x = inputs = keras.Input((6,))
    for _ in range(2):
        x = keras.layers.Dense(8, activation="relu")(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    plan = Plan(score="l1", **{"rounds": 2} | amount)
    first = {"channels": 32, "flops": 10**6, "params": 10**6}
    made = cut(model, None, plan, 2, first, {})
    assert made.left == made.found
    assert made.model.count_params() == model.count_params()
    with pytest.raises(NothingGoes):  # in the first it is a mistake
        cut(model, None, Plan(score="l1", params=10**6), 1, first, None)
