"""What rounds ask for: shares, budgets, and mistakes in one line."""

import numpy as np
import pytest

from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.rounds import shares
from rrelu_tf.rounds.cutting import cut
from rrelu_tf.rounds.plan import Plan


@pytest.mark.parametrize("total", [0.25, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("rounds", [1, 2, 5, 25])
def test_rounds_leave_what_the_authors_formula_leaves(total, rounds):
    left = 1.0
    for k, gone in enumerate(shares.gone(total, rounds), 1):
        left *= 1 - total / (k * total + rounds * (1 - total))
        assert 1 - gone == pytest.approx(left)
    assert left == pytest.approx(1 - total)


def asked(plan, number, found, **first):
    """The one amount that a round asks for."""
    amount = plan.amount_of(number, found, {"channels": 1000, **first})
    assert list(amount) == [plan.amount]
    return amount[plan.amount]


def test_later_rounds_take_less_of_what_is_left():
    plan = Plan(sparsity=0.8, rounds=5)
    left = [1000, *(1000 * (1 - gone) for gone in shares.gone(0.8, 5))]
    found = [asked(plan, k, count) for k, count in enumerate(left[:5], 1)]
    wanted = [0.4444, 0.3077, 0.2353, 0.1905, 0.16]
    np.testing.assert_allclose(found, wanted, atol=5e-5)


def test_thresholds_are_cumulative_percents():
    plan = Plan(thresholds=(10.0, 50.0, 80.0))
    found = [asked(plan, *at) for at in ((1, 1000), (2, 900), (3, 500))]
    np.testing.assert_allclose(found, [0.1, 4 / 9, 0.6])
    assert plan.count == 3


def test_a_channel_that_stayed_by_rounding_goes_in_the_next_round():
    # 2/3 of 1,000 were to be left: 333 of them went, and one is to follow.
    share = asked(Plan(sparsity=0.5, rounds=2), 2, 667)
    assert 667 * (1 - share) == pytest.approx(500)


@pytest.mark.parametrize("found", [300, 600])
def test_where_others_went_or_stayed_the_next_round_takes_its_share(found):
    assert asked(Plan(thresholds=(50.0, 75.0)), 2, found) == pytest.approx(0.5)


def test_budgets_are_spread_over_rounds_and_end_at_the_budget():
    costs = {"flops": 1000, "params": 100}
    for plan in (Plan(flops=0.5, rounds=2), Plan(flops=500.0, rounds=2)):
        found = [asked(plan, k, 1000, **costs) for k in (1, 2)]
        np.testing.assert_allclose(found, [1000 * 2 / 3, 500])
    # In turns with what each round finds.
    latency = Plan(latency=0.5, rounds=2)
    found = [asked(latency, k, 1000) for k in (1, 2)]
    np.testing.assert_allclose(found, [2 / 3, 3 / 4])


def test_retraining_lasts_as_the_list_says_and_then_as_its_last_entry():
    plan = Plan(sparsity=0.5, rounds=4, retrain_epochs=("3", "5+2"))
    epochs = [plan.epochs(k) for k in range(1, 5)]
    assert epochs == [(3, 0), (5, 2), (5, 2), (5, 2)]
    assert Plan(sparsity=0.5).epochs(1) is None


def test_which_epoch_goes_on_is_which_unless_it_is_given():
    plan = Plan(sparsity=0.5, which="best")
    assert plan.goes_on == "best"
    plan = Plan(sparsity=0.5, which="best", retrain_which="last")
    assert (plan.which, plan.goes_on) == ("best", "last")


@pytest.mark.parametrize(
    ("options", "received"),
    [
        (
            {},
            "sparsity=None, thresholds=None, flops=None, params=None, "
            "latency=None",
        ),
        ({"sparsity": 0.5, "flops": 0.5}, "sparsity=0.5, flops=0.5"),
        ({"sparsity": 0.0}, "sparsity=0.0"),
        ({"sparsity": 1.0}, "sparsity=1.0"),
        ({"sparsity": -0.1}, "sparsity=-0.1"),
        ({"sparsity": float("nan")}, "sparsity=nan"),
        ({"thresholds": (50.0, 10.0)}, "thresholds=50,10"),
        ({"thresholds": (50.0, 50.0)}, "thresholds=50,50"),
        ({"thresholds": (0.0, 50.0)}, "thresholds=0,50"),
        ({"thresholds": (50.0, 100.0)}, "thresholds=50,100"),
        ({"thresholds": (10.0, 50.0), "rounds": 3}, "rounds=3"),
        ({"sparsity": 0.5, "rounds": 0}, "rounds=0"),
        ({"flops": 1.0}, "flops=1.0"),
        ({"latency": 3.0, "rounds": 2}, "latency=3.0"),
        (
            {"sparsity": 0.5, "rounds": 2, "retrain_epochs": ("1", "2", "3")},
            "retrain_epochs=1,2,3",
        ),
        ({"sparsity": 0.5, "retrain_epochs": ("-1",)}, "retrain_epochs=-1"),
        (
            {"sparsity": 0.5, "retrain_milestones": ("1,2", "3")},
            "retrain_milestones=1,2;3",
        ),
        (
            {"sparsity": 0.5, "retrain_milestones": ("1,",)},
            "retrain_milestones=1,",
        ),
        ({"sparsity": 0.5, "retrain_epochs": ("1+",)}, "retrain_epochs=1+"),
        ({"sparsity": 0.5, "min_fraction": 1.0}, "min_fraction=1.0"),
        ({"sparsity": 0.5, "samples": 0}, "samples=0"),
    ],
)
def test_bad_choices_are_one_line(options, received):
    with pytest.raises(UserError) as refused:
        Plan(**options)
    assert str(refused.value).endswith(f"Received: {received}")


def test_a_budget_that_is_no_less_than_the_model_is_refused():
    plan = Plan(params=200.0, rounds=2)
    with pytest.raises(UserError, match="below the model's own 100 params"):
        asked(plan, 1, 1000, params=100)


@pytest.mark.parametrize(
    "amount, protocol, received",
    [
        ({"thresholds": (1.0, 50.0)}, "correct", "thresholds=1,50"),
        ({"sparsity": 0.02, "rounds": 2}, "correct", "sparsity=0.02"),
        ({"params": 0.01, "rounds": 2}, "correct", "params=0.01"),
        ({"thresholds": (99.9,)}, "correct", "thresholds=99.9"),
        ({"thresholds": (0.5, 9.0)}, "seed", "thresholds=0.5,9"),
    ],
)
def test_a_round_that_fails_tells_what_was_given(amount, protocol, received):
    options = {"num_classes": 3, "input_shape": (8, 8, 1), "width": 0.25}
    net = models.create("resnet8_b", **options)
    plan = Plan(score="l1", protocol=protocol, **amount)
    with pytest.raises(UserError) as refused:
        cut(net, None, plan, 1, None, None)
    assert str(refused.value).endswith(f"Received: {received}")
