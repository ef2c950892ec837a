"""Budgets are met on the model that strip returns."""

import types

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.analysis import latency
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import budgets
from rrelu_tf.pruning.groups import Groups, Order


def conv(name, filters):
    return layers.Conv2D(filters, 3, padding="same", name=name)


@pytest.fixture
def model():
    """A residual block between two convs."""
    i = keras.Input((8, 8, 3), name="images")
    x = layers.ReLU()(layers.BatchNormalization()(conv("stem", 16)(i)))
    y = layers.ReLU()(layers.BatchNormalization()(conv("inner", 12)(x)))
    x = layers.Add()([x, conv("branch", 16)(y)])
    x = layers.ReLU()(conv("last", 20)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(i, layers.Dense(5, name="top")(x), name="tiny")


KEYS = ("stem", "inner", "branch", "last")


@pytest.fixture
def scores(model):
    return {
        key: np.abs(keras.ops.convert_to_numpy(model.get_layer(key).kernel))
        .mean((0, 1, 2))
        .astype("float64")
        for key in KEYS
    }


def stripped(model, keep):
    return rrelu_tf.strip(rrelu_tf.mask(model, keep))


def cost(model, name):
    return getattr(rrelu_tf.profile(model), name)


def one_back(scores, keep):
    """The masks with the best channel that is gone put back."""
    gone = {
        (scores[key][c], key, c)
        for key, stays in keep.items()
        for c in np.flatnonzero(~stays)
    }
    _, key, channel = max(gone)
    more = {k: stays.copy() for k, stays in keep.items()}
    more[key][channel] = True
    return more


@pytest.mark.parametrize(
    ("name", "budget"),
    [("flops", 0.9), ("flops", 0.3), ("params", 0.5), ("params", 0.2)],
)
def test_a_budget_is_met_within_one_channel_on_the_stripped_model(
    model, scores, name, budget
):
    keep = rrelu_tf.select(scores, model=model, **{name: budget})
    aim = budget * cost(model, name)
    assert cost(stripped(model, keep), name) <= aim
    more = one_back(scores, keep)
    assert cost(stripped(model, more), name) > aim


def test_an_amount_and_its_fraction_are_the_same_budget(model, scores):
    name = "flops"
    amount = cost(model, name) // 2
    fraction = amount / cost(model, name)
    a, b = (
        rrelu_tf.select(scores, model=model, **{name: budget})
        for budget in (amount, fraction + 1e-12)
    )
    assert all(np.array_equal(a[key], b[key]) for key in KEYS)


def test_a_rounded_budget_is_met_within_one_rounding_step(model, scores):
    order = Order(Groups(scores), scope="global", min_fraction=0.05, round_to=4)
    keep = rrelu_tf.select(scores, model=model, flops=0.5, round_to=4)
    assert all(stays.sum() % 4 == 0 for stays in keep.values())
    aim = cost(model, "flops") / 2
    selections = [order.keep(n) for n in range(len(order.sequence) + 1)]
    mine = next(
        n
        for n, other in enumerate(selections)
        if all(np.array_equal(other[key], keep[key]) for key in KEYS)
    )
    assert cost(stripped(model, keep), "flops") <= aim
    before = selections[mine - 1]
    steps = [int((before[key] != keep[key]).sum()) for key in KEYS]
    assert sorted(steps) == [0, 0, 0, 4]
    assert cost(stripped(model, before), "flops") > aim


def test_in_scope_layer_a_budget_takes_the_same_fraction_of_each(model, scores):
    scores["last"] *= 1000
    keep = rrelu_tf.select(scores, model=model, flops=0.4, scope="layer")
    shares = [1 - stays.mean() for stays in keep.values()]
    sizes = [len(stays) for stays in keep.values()]
    assert max(shares) - min(shares) <= 1 / min(sizes)
    assert cost(stripped(model, keep), "flops") <= 0.4 * cost(model, "flops")


def test_the_guard_holds_for_budgets(model, scores):
    scores["inner"] *= 0
    keep = rrelu_tf.select(scores, model=model, flops=0.5, min_fraction=0.5)
    assert keep["inner"].sum() == 6


@pytest.mark.parametrize("name", ["flops", "params"])
def test_an_impossible_budget_says_the_least_that_can_be_reached(
    model, scores, name
):
    with pytest.raises(UserError, match=rf"Received: {name}=2$") as caught:
        rrelu_tf.select(scores, model=model, min_fraction=0.25, **{name: 2})
    keep = {}
    for key, values in scores.items():
        worst = np.argsort(values)[: len(values) - len(values) // 4]
        keep[key] = np.ones(len(values), bool)
        keep[key][worst] = False
    least = cost(stripped(model, keep), name)
    assert f"at least {least:,} {name} (0." in str(caught.value)
    assert "\n" not in str(caught.value)
    reached = rrelu_tf.select(
        scores, model=model, min_fraction=0.25, **{name: least}
    )
    assert cost(stripped(model, reached), name) == least


@pytest.mark.parametrize("name", ["flops", "params"])
def test_a_budget_that_removes_nothing_is_refused(model, scores, name):
    whole = cost(model, name)
    with pytest.raises(UserError) as caught:
        rrelu_tf.select(scores, model=model, **{name: whole})
    assert str(caught.value).endswith(f"Received: {name}={whole}")
    assert f"leaves {whole:,} {name} (1 of" in str(caught.value)
    keep = rrelu_tf.select(scores, model=model, **{name: whole - 1})
    assert not all(stays.all() for stays in keep.values())


def test_a_budget_on_scores_of_no_layer_is_refused(model):
    with pytest.raises(UserError, match="Received: scores={}$"):
        rrelu_tf.select({}, model=model, flops=0.5)


class Channels:
    """A latency that is a pure function of the model, and no other."""

    def __init__(self, of=lambda params: params):
        self.of = of
        self.batches = []

    def compare(self, before, after, batch, *, repeats):
        assert repeats > 1
        self.batches.append(keras.tree.map_structure(np.asarray, batch))
        times = [self.of(model.count_params()) for model in (before, after)]
        return types.SimpleNamespace(
            cpu_ratio=times[1] / times[0],
            after=types.SimpleNamespace(cpu_ms=times[1]),
        )


@pytest.fixture
def clock(monkeypatch):
    clock = Channels()
    monkeypatch.setattr(latency, "compare", clock.compare)
    return clock


@pytest.mark.parametrize("budget", [0.8, 0.4])
def test_a_latency_budget_is_a_fraction_of_the_models_own(
    model, scores, clock, budget
):
    keep = rrelu_tf.select(scores, model=model, latency=budget)
    left = stripped(model, keep).count_params() / model.count_params()
    assert left <= budget
    more = stripped(model, one_back(scores, keep)).count_params()
    within_noise = left >= (1 - budgets.NOISE) * budget
    assert within_noise or more > budget * model.count_params()


def test_a_latency_above_one_is_in_milliseconds(model, scores, clock):
    clock.of = lambda params: params / 100
    budget = 0.5 * model.count_params() / 100
    keep = rrelu_tf.select(scores, model=model, latency=budget)
    took = stripped(model, keep).count_params() / 100
    assert (1 - 2 * budgets.NOISE) * budget <= took <= budget


def test_a_latency_that_does_not_fall_evenly_is_met_all_the_same(
    model, scores, clock
):
    """Odd sizes are slower, and the smallest model is the slowest."""
    whole = model.count_params()

    def uneven(params):
        if params < 0.1 * whole:
            return 10 * whole
        return params + 100 * (params % 2)

    clock.of = uneven
    keep = rrelu_tf.select(scores, model=model, latency=0.5)
    took = uneven(stripped(model, keep).count_params()) / uneven(whole)
    assert 0.4 < took <= 0.5


def test_a_latency_that_never_falls_is_refused(model, scores, clock):
    clock.of = lambda params: 7.0
    with pytest.raises(UserError) as caught:
        rrelu_tf.select(scores, model=model, latency=0.5)
    assert "at least 1 of the model's latency" in str(caught.value)
    assert str(caught.value).endswith("Received: latency=0.5")


def test_each_different_selection_is_measured_once(model, scores, clock):
    keep = rrelu_tf.select(scores, model=model, latency=0.95, round_to=16)
    assert [int(stays.sum()) for stays in keep.values()] == [16, 12, 16, 16]
    assert len(clock.batches) == 2  # all channels, and all but these four


def test_a_latency_is_measured_on_a_batch_of_the_models_input(
    model, scores, clock
):
    rrelu_tf.select(scores, model=model, latency=0.5)
    assert clock.batches[0].shape == (budgets.BATCH, 8, 8, 3)
    assert clock.batches[0].dtype == np.float32
    assert clock.batches[0].std() > 0.5


def test_a_latency_is_measured_on_every_input_in_its_structure(clock):
    i = keras.Input((8,), name="b")
    j = keras.Input((), dtype="int32", name="a")
    embedded = layers.Embedding(5, 8)(j)
    x = layers.Dense(4, name="stem")(layers.Add()([i, embedded]))
    model = keras.Model({"b": i, "a": j}, layers.Dense(2)(x))
    keep = rrelu_tf.select({"stem": np.arange(4.0)}, model=model, latency=0.95)
    assert keep["stem"].sum() < 4
    batch = clock.batches[0]
    assert batch["b"].shape == (budgets.BATCH, 8)
    assert batch["b"].dtype == np.float32
    assert batch["a"].shape == (budgets.BATCH,)
    assert batch["a"].dtype == np.int32
    assert model(batch).shape == (budgets.BATCH, 2)


def test_a_latency_of_models_of_unknown_sizes_is_refused():
    given = {"stem": np.arange(4.0)}
    i = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(conv("stem", 4)(i))
    any_size = keras.Model(i, layers.Dense(2)(x))
    with pytest.raises(UserError, match=r"Received: input_shape=\(None, None"):
        rrelu_tf.select(given, model=any_size, latency=0.5)


def test_what_is_measured_runs(model, scores, clock, monkeypatch):
    ratios = []

    def compare(before, after, batch, *, repeats):
        times = real(before, after, batch, repeats=1, warmup=1)
        ratios.append(times.cpu_ratio)
        return clock.compare(before, after, batch, repeats=repeats)

    monkeypatch.undo()
    real = latency.compare
    monkeypatch.setattr(latency, "compare", compare)
    rrelu_tf.select(scores, model=model, latency=0.9)
    assert min(ratios) > 0


def test_a_flops_budget_refuses_what_nobody_counts():
    i = keras.Input((5, 8))
    x = layers.LSTM(4, return_sequences=True, name="recurrent")(i)
    x = layers.Dense(8, name="units")(x)
    model = keras.Model(i, layers.Dense(2)(x))
    with pytest.raises(UserError, match="Received: layers=recurrent"):
        rrelu_tf.select({"units": np.arange(8)}, model=model, flops=0.5)


def test_a_params_budget_needs_no_sizes():
    i = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(conv("stem", 8)(i))
    model = keras.Model(i, layers.Dense(2)(x))
    given = {"stem": np.arange(8.0)}
    keep = rrelu_tf.select(given, model=model, params=0.5)
    small = stripped(model, keep)
    assert small.count_params() <= 0.5 * model.count_params()
    assert small.get_layer("stem").filters > 1


@pytest.mark.parametrize("name", ["flops", "params", "latency"])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"round_to": 64}, "round_to=64 puts all that can go back"),
        ({"min_fraction": 0.99}, "min_fraction=0.99, and one channel"),
    ],
)
def test_a_budget_says_why_no_channel_can_go(
    model, scores, clock, name, options, why
):
    with pytest.raises(UserError, match=f"Received: {name}=0.5$") as caught:
        rrelu_tf.select(scores, model=model, **options, **{name: 0.5})
    assert why in str(caught.value)
    assert "of the model's" not in str(caught.value)


def test_masks_that_save_nothing_are_no_least_that_can_be_reached():
    i = keras.Input((3, 5))
    twice = layers.Dense(4, name="a")  # called on two shapes: opaque
    x, y = twice(i), twice(layers.Flatten()(i[:, :1]))
    x = layers.Add()([layers.GlobalAveragePooling1D()(x), y])
    model = keras.Model(i, layers.Dense(2)(x))
    with pytest.raises(UserError, match="Received: params=0.5$") as caught:
        rrelu_tf.select({"a": np.arange(4.0)}, model=model, params=0.5)
    assert "saves nothing: rrelu_tf.explain(masked)" in str(caught.value)
