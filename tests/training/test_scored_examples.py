"""The images that scores see, by protocol: `training.scored_examples`."""

import numpy as np
import pytest

from rrelu_tf.data import load
from rrelu_tf.rounds import stripping
from rrelu_tf.rounds.plan import Plan
from rrelu_tf.training import scored_examples


@pytest.fixture(scope="module")
def data():
    return load("digits", batch_size=100, validation_split=0.1)


def sizes(batches):
    return [len(labels) for _, labels in batches]


def test_the_right_protocol_has_as_many_as_were_asked_for(data):
    batches = scored_examples.of(data, "fisher", 250, "correct")
    assert sizes(batches) == [100, 100, 50]


@pytest.mark.parametrize(
    "samples, found",
    [
        (250, [128, 128]),
        (256, [128, 128, 128]),
        (257, [128, 128, 128]),
        # 79 batches, 10,112 images, of data that have as many.
        (10_000, [*[128] * 10, 14]),
    ],
)
def test_seed_has_whole_batches_until_more_were_seen(data, samples, found):
    assert sizes(scored_examples.of(data, "rdt", samples, "seed")) == found


def test_seed_has_enough_of_every_class_for_grasp(data):
    batches = scored_examples.of(data, "grasp", 1_000, "seed")
    labels = np.concatenate([labels for _, labels in batches])
    assert np.bincount(labels).min() >= 100
    assert sizes(batches)[0] == 128


class Handed(Exception):
    pass


@pytest.mark.parametrize("protocol, first", [("correct", 100), ("seed", 128)])
def test_rounds_hand_them_to_the_score(data, monkeypatch, protocol, first):
    def cut(model, training, *_):
        raise Handed(sizes(training))

    monkeypatch.setattr(stripping, "cut", cut)
    plan = Plan("fisher", samples=200, sparsity=0.5, protocol=protocol)
    with pytest.raises(Handed) as caught:
        stripping.write(None, None, None, plan, 1, data, [])
    assert caught.value.args == ([first] * 2,)
