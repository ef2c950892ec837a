"""The search for the largest threshold that validation data allow."""

import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.pruning import zeta


def scores(seed=0, small=26, large=646):
    """Like a trained net's slopes: some small ones, a gap, the bulk."""
    generator = np.random.default_rng(seed)
    values = np.concatenate(
        [generator.uniform(0.01, 0.1, small), generator.uniform(0.25, 1, large)]
    )
    generator.shuffle(values)
    return {"a": values[:300], "b": values[300:]}


class Falling:
    """Accuracy that falls by `step` for each channel beyond `free`."""

    def __init__(self, scores, free, step=0.002, top=0.9):
        self.values = np.concatenate(list(scores.values()))
        self.free, self.step, self.top = free, step, top
        self.asked = []

    def __call__(self, threshold):
        self.asked.append(threshold)
        dead = int((self.values <= threshold).sum())
        return self.top - max(0, dead - self.free) * self.step


@pytest.mark.parametrize("free", [100, 250, 400])
def test_the_most_channels_go_that_the_tolerance_allows(free):
    given = scores(small=0, large=672)
    choice = zeta.search(given, Falling(given, free), tolerance=0.001)
    reach = 0.02 * 672 + 1
    assert free - reach <= choice.chosen.dead <= free
    assert choice.chosen.accuracy >= choice.baseline.accuracy - 0.001
    good = [t.dead for t in choice.curve if t.accuracy >= 0.9 - 0.001]
    assert max(good) == free


def test_a_gap_is_preferred_to_a_few_channels_more():
    given = scores()
    choice = zeta.search(given, Falling(given, free=30), tolerance=0.001)
    assert choice.chosen.dead == 26
    assert 0.1 < choice.chosen.zeta < 0.25


def test_a_gap_is_not_worth_most_of_what_could_go():
    given = {"a": np.concatenate([[0.1], np.linspace(0.5, 0.6, 99)])}
    choice = zeta.search(given, Falling(given, free=10), tolerance=0.001)
    assert 8 <= choice.chosen.dead <= 10


def test_a_gap_whose_accuracy_is_bad_is_not_taken():
    given = scores()
    worse = Falling(given, free=30)

    def evaluate(threshold):
        in_the_gap = 0.1 < threshold < 0.25
        return 0.5 if in_the_gap else worse(threshold)

    choice = zeta.search(given, evaluate, tolerance=0.001)
    assert choice.chosen.dead != 26
    assert choice.chosen.accuracy == pytest.approx(0.9)


def test_nothing_goes_where_every_channel_matters():
    given = scores()
    choice = zeta.search(given, Falling(given, free=0), tolerance=0.001)
    assert choice.chosen.zeta == 0
    assert choice.chosen.dead == 0


def test_slopes_that_are_zero_already_count_as_dead_at_threshold_zero():
    given = {"a": np.array([0.0, 0.0, 0.3, 0.4])}
    choice = zeta.search(given, lambda threshold: 1.0, tolerance=0)
    assert choice.baseline.dead == 2
    assert choice.chosen.dead == 3


def test_equal_scores_are_never_parted():
    given = {"a": np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.9])}
    choice = zeta.search(given, lambda threshold: 1.0, tolerance=0)
    assert {trial.dead for trial in choice.curve} <= {0, 3, 5}


def test_few_evaluations_suffice():
    given = scores(small=0, large=20_000)
    evaluate = Falling(given, free=7_000, step=1e-4)
    zeta.search(given, evaluate, tolerance=0)
    assert len(evaluate.asked) < 50


def test_the_curve_rises_in_zeta_and_holds_every_trial():
    given = scores()
    evaluate = Falling(given, free=30)
    curve = zeta.search(given, evaluate, tolerance=0.001).curve
    assert [t.zeta for t in curve] == sorted(evaluate.asked)


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, float("nan")])
def test_a_tolerance_outside_its_range_is_refused(tolerance):
    with pytest.raises(UserError, match=r"Received: tolerance="):
        zeta.search(scores(), lambda threshold: 1.0, tolerance=tolerance)


def test_scores_that_are_not_finite_are_refused():
    given = {"a": np.array([0.1, np.nan])}
    with pytest.raises(UserError, match=r"1 scores not finite"):
        zeta.search(given, lambda threshold: 1.0)
