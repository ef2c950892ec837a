import math

import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError

SCORES = {
    "a": np.array([0.0, 0.1, 0.2]),
    "b": np.array([0.05, 0.1], "float32"),
}


def select(threshold):
    keep = rrelu_tf.select(SCORES, threshold=threshold)
    assert list(keep) == ["a", "b"]
    assert all(stays.dtype == bool for stays in keep.values())
    return [stays.tolist() for stays in keep.values()]


def test_a_channel_stays_if_its_score_is_strictly_greater():
    assert select(0.1)[0] == [False, False, True]
    assert select(math.nextafter(0.1, 0))[0] == [False, True, True]


def test_at_zero_only_zeros_go():
    assert select(0) == [[False, True, True], [True, True]]


def test_a_layer_may_lose_all_its_channels():
    assert select(0.15) == [[False, False, True], [False, False]]
    assert select(9) == [[False] * 3, [False] * 2]


def test_a_score_that_is_not_a_number_goes():
    keep = rrelu_tf.select({"a": np.array([np.nan, 1.0])}, threshold=0.0)
    assert keep["a"].tolist() == [False, True]


def test_scores_are_left_as_they_are():
    before = {key: values.copy() for key, values in SCORES.items()}
    select(0.1)
    assert all(np.array_equal(SCORES[key], before[key]) for key in before)


@pytest.mark.parametrize(
    "threshold", [-1e-9, -1, math.nan, math.inf, -math.inf]
)
def test_impossible_thresholds_are_refused_in_one_line(threshold):
    with pytest.raises(UserError) as caught:
        select(threshold)
    assert str(caught.value).endswith(f"Received: threshold={threshold}")
    assert "\n" not in str(caught.value)
