"""score_agreement: what the loss does without channels, and what scores say."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats

import rrelu_tf
from rrelu_tf.errors import UserError


@pytest.fixture
def model():
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(6, 3, name="conv")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Dense(5, activation="relu", name="hidden")(
        layers.Flatten(name="flatten")(x)
    )
    model = keras.Model(image, layers.Dense(3)(x))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.1, 0.4, weight.shape))
    return model


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    images = rng.normal(size=(20, 6, 6, 2)).astype("float32")
    return images, rng.integers(0, 3, 20)


def loss(model, data):
    images, labels = data
    logs = keras.ops.log_softmax(model(images, training=False))
    return -np.mean(np.asarray(logs)[np.arange(len(labels)), labels])


def without(model, scores, channels):
    keep = {key: np.ones(len(s), bool) for key, s in scores.items()}
    for key, channel in channels:
        keep[key][channel] = False
    return rrelu_tf.mask(model, keep)


def test_changes_are_those_of_masked_models(model, data):
    scores = rrelu_tf.score(model, "fisher", data)
    before = model.get_weights()
    found = rrelu_tf.score_agreement(model, scores, data, groups=3)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(old, new)
    assert found.loss == pytest.approx(loss(model, data), rel=1e-5)
    places = [(key, c) for key, s in scores.items() for c in range(len(s))]
    assert [(key, channel) for key, channel, *_ in found.channels] == places
    for key, channel, score, change in found.channels:
        assert score == scores[key][channel]
        masked = without(model, scores, [(key, channel)])
        expected = loss(masked, data) - found.loss
        assert change == pytest.approx(expected, abs=1e-5)


def test_a_group_of_all_channels_is_the_model_without_any(model, data):
    scores = rrelu_tf.score(model, "l1")
    found = rrelu_tf.score_agreement(
        model, scores, data, groups=2, group_size=100
    )
    everything = [(key, channel) for key, channel, *_ in found.channels]
    change = loss(without(model, scores, everything), data) - found.loss
    total = sum(values.sum() for values in scores.values())
    for added, changes, together in found.groups:
        assert added == pytest.approx(total)
        assert changes == pytest.approx(sum(x[3] for x in found.channels))
        assert together == pytest.approx(change, abs=1e-5)


def test_figures_are_correlations_of_ranks_and_relative_errors(model, data):
    scores = rrelu_tf.score(model, "fisher", data)
    found = rrelu_tf.score_agreement(
        model, scores, data, groups=10, group_size=3
    )
    rows = np.array([row[2:] for row in found.channels])
    names = np.array([row[0] for row in found.channels])
    assert found.overall == pytest.approx(stats.spearmanr(*rows.T)[0])
    for key, correlation in found.layers.items():
        expected = stats.spearmanr(*rows[names == key].T)[0]
        assert correlation == pytest.approx(expected)
    added, changes, together = np.array(found.groups).T
    assert found.group_scores == pytest.approx(
        stats.spearmanr(added, together)[0]
    )
    assert found.group_changes == pytest.approx(
        stats.spearmanr(changes, together)[0]
    )
    norm = np.linalg.norm(together)
    assert found.group_changes_error == pytest.approx(
        np.linalg.norm(changes - together) / norm
    )
    scale = np.linalg.lstsq(rows[:, :1], rows[:, 1])[0][0]
    assert found.group_scores_error == pytest.approx(
        np.linalg.norm(scale * added - together) / norm
    )


def test_the_changes_themselves_agree_with_themselves(model, data):
    scores = rrelu_tf.score(model, "l1")
    first = rrelu_tf.score_agreement(model, scores, data)
    changes = {key: np.zeros(len(s)) for key, s in scores.items()}
    for key, channel, _, change in first.channels:
        changes[key][channel] = change
    found = rrelu_tf.score_agreement(model, changes, data)
    assert found.overall == pytest.approx(1)
    assert found.group_scores_error == pytest.approx(found.group_changes_error)
    sizes = rrelu_tf.score_agreement(model, changes, data, absolute=True)
    for plain, size in zip(found.channels, sizes.channels, strict=True):
        assert size[3] == abs(plain[3])


def test_independent_channels_add_up():
    """Logits that are sums of units, and a loss that is nearly linear."""
    keras.config.set_dtype_policy("float64")
    image = keras.Input((4,))
    x = layers.Dense(6, use_bias=False, name="units")(image)
    model = keras.Model(image, layers.Dense(3, use_bias=False)(x))
    for layer in model.layers[1:]:
        layer.kernel.assign(1e-3 * layer.kernel)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(9, 4)), rng.integers(0, 3, 9)
    scores = rrelu_tf.score(model, "l1")
    found = rrelu_tf.score_agreement(model, scores, data, group_size=3)
    assert found.group_changes == pytest.approx(1, abs=0.01)
    assert found.group_changes_error < 1e-3


def test_channels_and_groups_are_drawn_from_the_seed(model, data):
    scores = rrelu_tf.score(model, "l1")
    options = {"channels": 5, "groups": 4, "group_size": 2}
    first, again, other = (
        rrelu_tf.score_agreement(model, scores, data, seed=seed, **options)
        for seed in (0, 0, 1)
    )
    assert first.channels == again.channels
    assert first.groups == again.groups
    assert len(first.channels) == 5 and len(first.groups) == 4
    assert first.channels != other.channels


def test_several_scores_are_compared_on_the_same_channels(model, data):
    by_name = rrelu_tf.scoring.scores(model, ["l1", "fisher", "bn"], data)
    found = rrelu_tf.score_agreement(model, by_name, data, channels=6)
    assert list(found) == ["l1", "fisher", "bn"]
    for name, scores in by_name.items():
        alone = rrelu_tf.score_agreement(model, scores, data, channels=6)
        assert found[name].channels == alone.channels
    places = [[row[:2] for row in found[n].channels] for n in ("l1", "fisher")]
    assert places[0] == places[1]


def test_a_norm_and_the_conv_before_it_silence_the_same(model, data):
    scores = rrelu_tf.scoring.scores(model, ["l1", "bn"])
    scores["l1"].pop("hidden")
    found = rrelu_tf.score_agreement(model, scores, data)
    changes = [[x[3] for x in found[name].channels] for name in ("l1", "bn")]
    np.testing.assert_allclose(*changes, atol=1e-6)


def test_the_table_has_a_line_for_every_layer(model, data):
    scores = rrelu_tf.score(model, "l1")
    text = rrelu_tf.score_agreement(model, scores, data, groups=7).table()
    for word in ("conv", "hidden", "all channels tried", "7 groups"):
        assert word in text


@pytest.mark.parametrize(
    ("scores", "options", "received"),
    [
        ({}, {}, "scores={}"),
        ({"cnv": np.ones(6)}, {}, "key=cnv"),
        ({"conv": np.ones(5)}, {}, "conv=array of shape (5,)"),
        ({"flatten": np.ones(96)}, {}, "flatten=Flatten"),
        (None, {"channels": 0}, "channels=0"),
        (None, {"groups": 0}, "groups=0"),
        (None, {"group_size": 1.5}, "group_size=1.5"),
        (None, {"samples": -1}, "samples=-1"),
        (None, {"seed": -1}, "seed=-1"),
        (None, {"absolute": 1}, "absolute=1"),
    ],
)
def test_bad_input_is_one_line(model, data, scores, options, received):
    if scores is None:
        scores = {"conv": np.ones(6)}
    with pytest.raises(UserError) as caught:
        rrelu_tf.score_agreement(model, scores, data, **options)
    (line,) = str(caught.value).splitlines()
    assert line.endswith(f"Received: {received}")


def test_it_needs_data_that_fit(model, data):
    scores = {"conv": np.ones(6)}
    images, labels = data
    for given, received in ((None, "data=None"), ((images, labels + 2), "l")):
        with pytest.raises(UserError, match=f"Received: {received}"):
            rrelu_tf.score_agreement(model, scores, given)
