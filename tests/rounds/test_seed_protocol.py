"""Rounds by the OrthoReg authors' protocol."""

import json

import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.rounds.cutting import cut
from rrelu_tf.rounds.plan import Plan

ROUNDS = Plan(score="l1", protocol="seed", sparsity=0.75, rounds=2)


def net():
    return rrelu_tf.models.create(
        "resnet8_b", num_classes=10, input_shape=(8, 8, 1), width=0.5
    )


def test_the_masks_are_those_of_select_round_by_round():
    model, first, known = net(), None, None
    for number in (1, 2):
        made = cut(model, None, ROUNDS, number, first, known)
        scores = rrelu_tf.score(model, "l1", protocol="seed")
        keep = rrelu_tf.select(
            scores,
            sparsity=0.75,
            model=model,
            protocol="seed",
            seed_round=(number, 2),
        )
        assert made.left == {k: int(v.sum()) for k, v in keep.items()}
        small = rrelu_tf.pruning.seed_pruned(model, keep)
        for a, b in zip(made.model.weights, small.weights, strict=True):
            np.testing.assert_array_equal(a, b)
        model, first, known = made.model, made.first, made.model.kept
    assert sum(made.left.values()) < 0.3 * first["channels"]
    json.dumps(made.asked)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"flops": 0.5}, "flops=0.5"),
        ({"sparsity": 0.5, "scope": "layer"}, "scope=layer"),
        ({"sparsity": 0.5, "min_fraction": 0.1}, "min_fraction=0.1"),
        ({"sparsity": 0.5, "align": "couple"}, "align=couple"),
    ],
)
def test_what_the_protocol_decides_may_not_be_given(options, received):
    with pytest.raises(UserError, match=f"Received: {received}$"):
        Plan(protocol="seed", **options)


def test_nothing_is_stripped_until_the_user_strips():
    model = net()
    made = cut(model, None, ROUNDS, 1, None, None)
    small = rrelu_tf.strip(made.model)
    rrelu_tf.verify(made.model, small)
    assert small.count_params() < made.model.count_params()
    assert small.get_layer("layer1_0_conv2").filters < 8
    assert made.model.get_layer("layer1_0_conv2").filters == 8
