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


def random_scores(sizes, seed=0):
    generator = np.random.default_rng(seed)
    return {key: generator.permutation(n) + 1.0 for key, n in sizes.items()}


def kept(keep):
    return {key: int(stays.sum()) for key, stays in keep.items()}


def refused(received, scores=SCORES, **options):
    """The error's text, one line that ends with what was received."""
    with pytest.raises(UserError) as caught:
        rrelu_tf.select(scores, **options)
    message = str(caught.value)
    assert message.endswith(f"Received: {received}")
    assert "\n" not in message
    return message


def test_a_channel_stays_if_its_score_is_strictly_greater():
    assert select(0.1)[0] == [False, False, True]
    assert select(math.nextafter(0.1, 0))[0] == [False, True, True]


def test_a_threshold_is_compared_in_the_precision_of_the_scores():
    """float32(0.1) is a little above 0.1, and equals it all the same."""
    scores = {"a": np.array([0.1, 0.2], "float32")}
    assert rrelu_tf.select(scores, threshold=0.1)["a"].tolist() == [False, True]


def test_at_zero_only_zeros_go():
    assert select(0) == [[False, True, True], [True, True]]


def test_a_threshold_may_empty_a_layer_and_select_nothing():
    assert select(0.15) == [[False, False, True], [False, False]]
    assert select(9) == [[False] * 3, [False] * 2]
    keep = rrelu_tf.select(SCORES, threshold=9, min_fraction=0.9, round_to=2)
    assert kept(keep) == {"a": 0, "b": 0}
    high = {"a": np.array([1.0])}
    assert rrelu_tf.select(high, threshold=0.5)["a"].all()


def test_scores_are_left_as_they_are():
    before = {key: values.copy() for key, values in SCORES.items()}
    rrelu_tf.select(SCORES, sparsity=0.5)
    select(0.1)
    assert all(np.array_equal(SCORES[key], before[key]) for key in before)


@pytest.mark.parametrize("sparsity", [0, 0.1, 0.29, 0.5, 0.7])
def test_the_lowest_scores_of_all_layers_go(sparsity):
    scores = random_scores({"a": 40, "b": 60})
    scores["b"] /= 2
    keep = rrelu_tf.select(scores, sparsity=sparsity)
    gone = np.concatenate([scores[key][~keep[key]] for key in scores])
    stays = np.concatenate([scores[key][keep[key]] for key in scores])
    assert len(gone) == round(sparsity * 100)
    assert gone.max(initial=0) <= stays.min()


def test_in_scope_layer_each_layer_loses_the_same_fraction():
    scores = random_scores({"a": 10, "b": 20, "c": 7})
    scores["a"] *= 1000
    keep = rrelu_tf.select(scores, sparsity=0.4, scope="layer")
    assert kept(keep) == {"a": 6, "b": 12, "c": 5}  # 2.8 rounded down
    for key, stays in keep.items():
        assert scores[key][~stays].max() < scores[key][stays].min()


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_of_equal_scores_the_first_go(scope):
    scores = {"z": np.ones(4), "a": np.ones(4)}
    keep = rrelu_tf.select(scores, sparsity=0.5, scope=scope, min_fraction=0)
    left = [False, False, True, True]
    whole = {"global": [[False] * 3 + [True], [False] + [True] * 3]}
    expected = whole.get(scope, [left, left])
    assert [stays.tolist() for stays in keep.values()] == expected


def test_what_one_layer_may_not_lose_others_lose():
    scores = {"low": np.arange(10.0), "high": 100 + np.arange(10.0)}
    keep = rrelu_tf.select(scores, sparsity=0.5, min_fraction=0.25)
    assert kept(keep) == {"low": 3, "high": 7}
    assert keep["low"].tolist() == [False] * 7 + [True] * 3
    assert keep["high"].tolist() == [False] * 3 + [True] * 7


def test_a_layer_keeps_one_channel_whatever_the_fraction():
    scores = {"low": np.zeros(4), "high": np.ones(16)}
    keep = rrelu_tf.select(scores, sparsity=0.9, min_fraction=0)
    assert kept(keep) == {"low": 1, "high": 1}


@pytest.mark.parametrize("min_fraction", [0.05, 0.3, 0.34, 0.7])
def test_min_fraction_is_rounded_up(min_fraction):
    scores = {"low": np.zeros(10), "high": np.ones(90)}
    keep = rrelu_tf.select(scores, sparsity=0.2, min_fraction=min_fraction)
    assert kept(keep)["low"] == math.ceil(min_fraction * 10)
    assert sum(kept(keep).values()) == 80


def test_a_sparsity_beyond_the_guard_says_what_is_possible():
    scores = random_scores({"a": 10, "b": 10})
    options = {"scores": scores, "sparsity": 0.7}
    message = refused("sparsity=0.7", min_fraction=0.4, **options)
    assert "at most 12 of 20 channels can" in message
    message = refused(
        "sparsity=0.7", min_fraction=0.4, scope="layer", **options
    )
    assert "at most 6 of 10 channels around a can" in message
    keep = rrelu_tf.select(scores, sparsity=0.6, min_fraction=0.4)
    assert kept(keep) == {"a": 4, "b": 4}


@pytest.mark.parametrize("round_to", [2, 4, 8])
def test_kept_channels_are_rounded_up_to_a_multiple_best_first(round_to):
    scores = random_scores({"a": 30, "b": 32, "c": 5})
    free = rrelu_tf.select(scores, sparsity=0.55)
    rounded = rrelu_tf.select(scores, sparsity=0.55, round_to=round_to)
    for key, stays in rounded.items():
        size, before = len(stays), int(free[key].sum())
        wanted = min(size, math.ceil(before / round_to) * round_to)
        assert stays.sum() == wanted
        best = np.sort(np.argsort(scores[key])[size - wanted :])
        assert np.flatnonzero(stays).tolist() == best.tolist()


def test_a_threshold_is_rounded_too_but_an_empty_layer_stays_empty():
    scores = {"a": np.arange(10.0), "b": np.zeros(4)}
    keep = rrelu_tf.select(scores, threshold=6.5, round_to=4)
    assert np.flatnonzero(keep["a"]).tolist() == [6, 7, 8, 9]
    assert not keep["b"].any()


def test_a_sparsity_that_removes_nothing_says_why():
    message = refused("sparsity=0.1", sparsity=0.1)
    assert "less than one channel" in message
    message = refused("sparsity=0.5", sparsity=0.5, round_to=8)
    assert "round_to=8 puts all 2 back" in message
    keep = rrelu_tf.select(SCORES, sparsity=0)
    assert all(stays.all() for stays in keep.values())


def test_an_infinite_score_protects_a_channel():
    scores = {"a": np.array([np.inf, 1.0, -1.0, 2.0])}
    keep = rrelu_tf.select(scores, sparsity=0.75)
    assert keep["a"].tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    "threshold", [-1e-9, -1, math.nan, math.inf, -math.inf, "1", True]
)
def test_impossible_thresholds_are_refused_in_one_line(threshold):
    refused(f"threshold={threshold}", threshold=threshold)


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.5, math.nan, "half", True])
def test_impossible_sparsities_are_refused_in_one_line(sparsity):
    refused(f"sparsity={sparsity}", sparsity=sparsity)


@pytest.mark.parametrize("name", ["flops", "params", "latency"])
@pytest.mark.parametrize("budget", [0, -0.5, 1, 1.0, math.nan, math.inf, "x"])
def test_impossible_budgets_are_refused_in_one_line(name, budget):
    refused(f"{name}={budget}", **{name: budget})


@pytest.mark.parametrize(
    ("scores", "received"), [({}, "{}"), (None, "NoneType"), ([1], "list")]
)
@pytest.mark.parametrize("amount", ["sparsity", "threshold"])
def test_no_scores_are_refused(scores, received, amount):
    refused(f"scores={received}", scores, **{amount: 0.5})


def test_exactly_one_amount_is_given():
    nothing = "threshold=None, sparsity=None, flops=None, params=None"
    refused(f"{nothing}, latency=None")
    refused("threshold=0, flops=0.5", threshold=0, flops=0.5)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"scope": "local"}, "scope=local"),
        ({"align": "pad"}, "align=pad"),
        ({"reduce": "min"}, "reduce=min"),
        ({"round_to": 0}, "round_to=0"),
        ({"round_to": 1.5}, "round_to=1.5"),
        ({"round_to": True}, "round_to=True"),
        ({"min_fraction": 1}, "min_fraction=1"),
        ({"min_fraction": -0.1}, "min_fraction=-0.1"),
        ({"min_fraction": math.nan}, "min_fraction=nan"),
        ({"align": "couple"}, "model=None"),
        ({"align": "auto"}, "model=None"),
    ],
)
def test_options_outside_their_range_are_refused(options, received):
    refused(received, sparsity=0.5, **options)


@pytest.mark.parametrize("name", ["flops", "params", "latency"])
def test_a_budget_needs_a_model(name):
    refused("model=None", **{name: 0.5})


@pytest.mark.parametrize(
    ("values", "received"),
    [
        (np.array([1.0, np.nan, np.nan]), "a=2 NaN of 3"),
        (np.ones((2, 3)), "a=float64 array of shape (2, 3)"),
        (np.float64(1), "a=float64 array of shape ()"),
        (np.array(["x"]), "a=<U1 array of shape (1,)"),
        (np.array([True]), "a=bool array of shape (1,)"),
    ],
)
def test_scores_that_are_no_numbers_are_refused(values, received):
    refused(received, scores={"a": values}, threshold=0)
    refused(received, scores={"a": values}, sparsity=0.5)


def test_ragged_scores_are_refused():
    refused("a=list", {"a": [[1], [1, 2]]}, sparsity=0.5)


def test_a_sparsity_says_why_no_channel_can_go():
    message = refused("sparsity=0.5", sparsity=0.5, min_fraction=0.9)
    assert "min_fraction=0.9, and one channel at the least" in message
    message = refused("sparsity=0.5", {"a": np.ones(1)}, sparsity=0.5)
    assert "none can go" in message
