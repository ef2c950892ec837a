"""Rounds of pruning: the right shares and the authors' whole numbers."""

import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import round_ratios, seed_rounds


@pytest.fixture(scope="module")
def nets():
    names = ["vgg13", "mobilenet_v1", "resnet34", "resnet56_b"]
    return {name: rrelu_tf.models.create(name, num_classes=9) for name in names}


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("vgg13", [736, 1472, 2208]),
        ("mobilenet_v1", [2736, 5472, 8208]),
        ("resnet34", [2128, 4256, 6384]),
        ("resnet56_b", [532, 1064, 1596]),
    ],
)
def test_one_round_takes_what_the_authors_take(nets, name, goes):
    found = [
        seed_rounds(nets[name], percent / 100)[0] for percent in (25, 50, 75)
    ]
    assert [round_.goes(round_.first) for round_ in found] == goes


def test_a_whole_percentage_is_off_by_one_at_fourteen_sparsities(nets):
    net = nets["resnet56_b"]
    off = [
        percent
        for percent in range(1, 100)
        if seed_rounds(net, percent / 100)[0].percent != 100 - percent
    ]
    assert off == [34, 55, 56, 67, 68, 78, 79, 80, 81, *range(89, 94)]
    assert seed_rounds(nets["resnet34"], 0.8)[0].goes(8512) == 6894


def test_whole_percentages_drift_over_rounds(nets):
    net = nets["resnet56_b"]

    def percents(sparsity, rounds):
        return [r.percent for r in seed_rounds(net, sparsity, rounds=rounds)]

    assert percents(0.5, 2) == [66, 49]
    assert percents(0.95, 10)[-1] == 2
    assert percents(0.75, 25)[-1] == 18
    # The figures of the fixture's two rounds.
    first, second = seed_rounds(net, 0.5, rounds=2)
    assert (first.goes(2128), second.goes(1798)) == (723, 755)


def test_a_share_times_100_over_100_may_lose_a_filter(nets):
    first, _ = seed_rounds(nets["mobilenet_v1"], 0.5, rounds=2)
    assert first.goes(10_944) == 3647


@pytest.mark.parametrize(
    ("sparsity", "rounds", "expected"),
    [
        (0.5, 2, [1 / 3, 1 / 4]),
        (0.75, 3, [1 / 2, 1 / 3, 1 / 4]),
        (0.8, 5, [0.4444, 0.3077, 0.2353, 0.1905, 0.16]),
        (0.0, 3, [0, 0, 0]),
    ],
)
def test_ratios_fall_and_leave_what_was_asked(sparsity, rounds, expected):
    found = round_ratios(sparsity, rounds=rounds)
    assert found == pytest.approx(expected, abs=5e-5)
    left = np.prod([1 - ratio for ratio in found])
    assert left == pytest.approx(1 - sparsity, rel=1e-12)


def test_thresholds_are_gone_after_their_rounds(nets):
    ratios = round_ratios(thresholds=[10, 50, 80])
    assert ratios == pytest.approx([0.1, 4 / 9, 0.6])
    found = seed_rounds(nets["vgg13"], thresholds=[10, 50, 80])
    assert [round_.ratio for round_ in found] == ratios
    assert found[1].place == (2, (10, 50, 80)) and found[1].sparsity == 0.8


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({}, "sparsity=None"),
        ({"sparsity": 1}, "sparsity=1"),
        ({"sparsity": 0.5, "rounds": 0}, "rounds=0"),
        ({"sparsity": 0.5, "rounds": 1.5}, "rounds=1.5"),
        ({"thresholds": [50, 10]}, r"thresholds=\[50, 10\]"),
        ({"thresholds": [10, 100]}, r"thresholds=\[10, 100\]"),
        ({"thresholds": "10"}, "thresholds=10"),
        ({"thresholds": [10], "rounds": 2}, "rounds=2"),
        ({"thresholds": [10], "sparsity": 0.1}, "sparsity=0.1, rounds=1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(nets, options, received):
    for asked in (
        lambda: round_ratios(**options),
        lambda: seed_rounds(nets["vgg13"], **options),
    ):
        with pytest.raises(UserError, match=f"Received: .*{received}") as error:
            asked()
        assert "\n" not in str(error.value)
