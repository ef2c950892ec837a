"""Channels that meet in an Add go together when `align` is "couple"."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.layers import ChannelGather
from rrelu_tf.pruning.groups import Groups

A = np.array([1.0, 8.0, 3.0, 4.0, 9.0, 6.0])
B = np.array([7.0, 0.0, 3.0, 4.0, 1.0, 6.0])
INNER = np.array([5.0, 2.0, 8.0, 9.0])


def conv(name, filters):
    return layers.Conv2D(
        filters, 3, padding="same", activation="relu", name=name
    )


@pytest.fixture
def model():
    """The outputs of a and b meet in an Add; inner's meet nothing."""
    i = keras.Input((6, 6, 3))
    x = conv("a", 6)(i)
    y = conv("b", 6)(conv("inner", 4)(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    return keras.Model(i, layers.Dense(2)(x))


SCORES = {"a": A, "inner": INNER, "b": B}


def select(model, **options):
    return rrelu_tf.select(SCORES, model=model, align="couple", **options)


@pytest.mark.parametrize(
    ("reduce", "group"), [("sum", A + B), ("mean", (A + B) / 2), ("max", None)]
)
def test_a_group_has_the_reduced_score_and_one_mask(model, reduce, group):
    group = np.maximum(A, B) if group is None else group
    for threshold in (4, 7.5, 8):
        keep = select(model, threshold=threshold, reduce=reduce)
        assert list(keep) == ["a", "inner", "b"]
        assert keep["a"].tolist() == (group > threshold).tolist()
        assert keep["b"].tolist() == keep["a"].tolist()
        assert keep["inner"].tolist() == (threshold < INNER).tolist()


def test_a_sparsity_counts_groups(model):
    keep = select(model, sparsity=0.3, reduce="mean")  # 3 of 10 groups
    assert np.flatnonzero(~keep["a"]).tolist() == [0, 2]
    assert np.flatnonzero(~keep["b"]).tolist() == [0, 2]
    assert np.flatnonzero(~keep["inner"]).tolist() == [1]


def test_scope_layer_takes_layers_that_are_tied_as_one(model):
    keep = select(model, sparsity=0.5, scope="layer", reduce="max")
    assert np.flatnonzero(keep["a"]).tolist() == [0, 1, 4]
    assert keep["b"].tolist() == keep["a"].tolist()
    assert np.flatnonzero(keep["inner"]).tolist() == [2, 3]


def test_tied_layers_are_rounded_together(model):
    keep = select(model, threshold=8.5, reduce="max", round_to=4)
    assert np.flatnonzero(keep["a"]).tolist() == [0, 1, 4, 5]
    assert keep["b"].tolist() == keep["a"].tolist()


def test_coupled_channels_need_no_gather(model):
    def gathers(align):
        options = {"model": model, "sparsity": 0.5, "align": align}
        masked = rrelu_tf.mask(model, rrelu_tf.select(SCORES, **options))
        small = rrelu_tf.strip(masked, align=align)
        return sum(isinstance(x, ChannelGather) for x in small.layers)

    assert gathers("couple") == 0
    assert gathers("gather") > 0


@pytest.mark.parametrize("align", ["gather", "couple"])
def test_a_budget_is_met_on_what_strip_returns_with_that_alignment(
    model, align
):
    """Coupled, a's channels stay, for b's are not scored and do."""
    scores = {"a": A, "inner": INNER}
    keep = rrelu_tf.select(scores, model=model, params=0.6, align=align)
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep), align=align)
    assert rrelu_tf.profile(small).params <= 0.6 * model.count_params()
    other = {"gather": "couple", "couple": "gather"}[align]
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep), align=other)
    within = rrelu_tf.profile(small).params <= 0.6 * model.count_params()
    assert within == (other == "gather")


def test_a_budget_removes_whole_groups(model):
    keep = select(model, params=0.5)
    assert keep["a"].tolist() == keep["b"].tolist()
    assert not keep["a"].all()


def test_the_guard_holds_for_every_member_of_a_group(model):
    scores = {"a": np.zeros(6), "inner": np.ones(4), "b": np.zeros(6)}
    keep = rrelu_tf.select(
        scores, model=model, align="couple", sparsity=0.5, min_fraction=0.5
    )
    assert {key: int(stays.sum()) for key, stays in keep.items()} == {
        "a": 3,
        "inner": 2,
        "b": 3,
    }


def test_groups_over_layers_of_different_widths():
    """A wide layer that is tied to a narrow one on some channels only."""
    scores = {"narrow": np.array([5.0, 1.0]), "wide": np.array([1.0, 2, 3, 4])}
    labels = {"narrow": np.array([7, 9]), "wide": np.array([3, 7, 4, 9])}
    groups = Groups(scores, labels)
    assert groups.scores.tolist() == [7, 5, 1, 3]
    keep = groups.keep(np.array([False, True, True, True]))
    assert keep["narrow"].tolist() == [True, False]
    assert keep["wide"].tolist() == [False, True, False, False]
    rounded = groups.keep(np.array([False, True, True, True]), round_to=2)
    assert rounded["narrow"].all()  # which gives wide its second
    assert rounded["wide"].tolist() == [False, True, False, True]
    assert groups.blocks("layer").tolist() == [0, 0, 0, 0]


def test_blocks_are_joined_over_any_number_of_layers():
    labels = {"a": [1], "b": [2, 3], "c": [1, 2], "d": [4]}
    labels = {key: np.array(value) for key, value in labels.items()}
    scores = {key: np.ones(len(value)) for key, value in labels.items()}
    assert Groups(scores, labels).blocks("layer").tolist() == [0, 0, 0, 3]


def test_a_channel_without_a_tie_goes_alone():
    labels = {"a": np.array([0, 0, 1]), "b": np.array([0, 1, 1])}
    scores = {key: np.ones(3) for key in labels}
    groups = Groups(scores, labels)
    assert groups.scores.tolist() == [1, 1, 3, 1]


@pytest.mark.parametrize("scores", [{"elsewhere": A}, {**SCORES, "x/y": A}])
def test_a_key_that_is_not_in_the_model_is_refused(model, scores):
    key = list(scores)[-1]
    with pytest.raises(UserError, match=rf"Received: key={key}$"):
        rrelu_tf.select(scores, model=model, threshold=0)


def test_scores_of_another_length_than_the_layer_are_refused(model):
    with pytest.raises(UserError, match=r"Received: a=array of shape \(4,\)$"):
        rrelu_tf.select({"a": INNER}, model=model, sparsity=0.5)


def tied(held_by):
    """a meets a layer; units are free, b meets both, coupled."""
    i = keras.Input((3, 6), name="tokens")
    x = layers.Dense(6, activation="relu", name="a")(i)
    x = layers.Add()([x, held_by(i, x)])
    y = layers.Dense(8, activation="relu", name="units")(x)
    x = layers.Add()([layers.Dense(6, name="b")(y), x])
    return keras.Model(i, layers.Dense(2, name="head")(x))


HELD = {
    "the input tokens": lambda i, x: i,
    "mha (MultiHeadAttention)": (
        lambda i, x: layers.MultiHeadAttention(2, 3, name="mha")(x, x)
    ),
    "other (Dense)": lambda i, x: layers.Dense(6, name="other")(i),
    "lstm (LSTM)": (
        lambda i, x: layers.LSTM(6, return_sequences=True, name="lstm")(i)
    ),
    "numbers other than 0": (lambda i, x: layers.Activation("sigmoid")(x)),
}
FREE = {"a": A, "b": B}
UNITS = {"units": np.arange(8.0), **FREE}


@pytest.mark.parametrize("holder", list(HELD))
@pytest.mark.parametrize("amount", ["sparsity", "params"])
def test_if_all_is_tied_to_what_has_no_score_that_is_named(holder, amount):
    model = tied(HELD[holder])
    with pytest.raises(UserError) as caught:
        rrelu_tf.select(FREE, model=model, align="couple", **{amount: 0.5})
    message = str(caught.value)
    assert f"they are tied to {holder}. Received: {amount}=0.5" in message
    assert "\n" not in message


@pytest.mark.parametrize("holder", list(HELD))
@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 4.5},
        {"sparsity": 0.5},
        {"sparsity": 0.5, "scope": "layer"},
        {"params": 0.95},
    ],
)
def test_what_is_tied_stays_and_the_rest_goes(holder, options):
    model = tied(HELD[holder])
    options = {**options, "align": "couple"}
    keep = rrelu_tf.select(UNITS, model=model, **options)
    assert keep["a"].all() and keep["b"].all()
    assert not keep["units"].all()
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep), align="couple")
    for key in ("a", "b", "units"):
        assert (small.get_layer(key).units == keep[key].sum()).all()
    if "sparsity" in options:  # of what can go
        assert keep["units"].sum() == 4


def test_a_threshold_that_coupled_keeps_everything_is_no_error():
    model = tied(HELD["the input tokens"])
    keep = rrelu_tf.select(FREE, model=model, align="couple", threshold=5)
    assert all(stays.all() for stays in keep.values())


def test_groups_of_a_norm_go_whole_unless_it_makes_numbers_of_zeros():
    i = keras.Input((3, 6))
    norm = layers.GroupNormalization(2, name="gn")
    x = layers.Dense(4, name="b")(norm(layers.Dense(6, name="a")(i)))
    model = keras.Model(i, layers.Dense(2)(x))
    options = {"model": model, "align": "couple", "sparsity": 0.34}
    scores = {"a": np.arange(6.0), "b": 100 + np.arange(4.0)}
    keep = rrelu_tf.select(scores, **options)
    small = rrelu_tf.strip(rrelu_tf.mask(model, keep), align="couple")
    assert keep["a"].tolist() == [False] * 3 + [True] * 3
    assert small.get_layer("a").units == 3
    norm.beta.assign(np.ones(6))
    keep = rrelu_tf.select(scores, **options)
    assert keep["a"].all()
    assert keep["b"].tolist() == [False, True, True, True]
