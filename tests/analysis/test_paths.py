"""Active paths: closed form against enumeration, blocks against models."""

import collections
import itertools
import json
import math

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.analysis.paths import (
    block_filters,
    known_block_filters,
    path_lengths,
)
from rrelu_tf.errors import UserError

# WRN-10-1 has one block a stage; 16 + 16, 16 + 32, 32 + 64 activations.
SHAPE = {"num_classes": 2, "input_shape": (8, 8, 1)}


def enumerated(filters):
    """length -> number of subsets, one by one."""
    return collections.Counter(
        sum(itertools.compress(filters, taken))
        for taken in itertools.product((0, 1), repeat=len(filters))
    )


@pytest.mark.parametrize(
    "filters", [[3], [0], [0, 0, 2], [5, 5, 5], [7, 1, 4, 0, 9, 2, 2, 30, 6, 8]]
)
def test_the_closed_form_counts_every_subset(filters):
    lengths, counts = path_lengths(filters)
    found = dict(zip(lengths.tolist(), counts.tolist(), strict=True))
    assert found == enumerated(filters)
    assert (np.diff(lengths) > 0).all()


def test_random_blocks_equal_their_enumeration():
    generator = np.random.default_rng(0)
    for _ in range(5):
        filters = generator.integers(0, 40, 10)
        lengths, counts = path_lengths(filters)
        expected = enumerated(filters.tolist())
        assert dict(zip(lengths, counts, strict=True)) == expected


def test_deep_nets_are_counted_exactly():
    lengths, counts = path_lengths([1] * 333)
    assert counts[166] == math.comb(333, 166)
    assert counts.sum() == 2**333
    lengths, counts = path_lengths(dict.fromkeys(range(18), 128))
    assert lengths.tolist() == list(range(0, 19 * 128, 128))
    assert counts.sum() == 2**18


def test_the_published_wrn_40_4_has_the_mean_of_half_its_filters(shared):
    records = json.loads(
        (shared / "fixtures/rrelu/alive_lists.json").read_text()
    )
    alive = next(r["alive"] for r in records if r["arch"] == "wrn_40_4")
    blocks = [sum(pair) for pair in zip(alive[::2], alive[1::2], strict=True)]
    lengths, counts = path_lengths(blocks)
    assert counts.sum() == 2**18
    # Each block is taken in half of the paths.
    assert sum(map(int.__mul__, lengths.tolist(), counts)) == sum(alive) * 2**17


@pytest.mark.parametrize("filters", [[], {}, [1.5], [-1], [3, "4"]])
def test_what_is_no_list_of_blocks_is_one_line(filters):
    with pytest.raises(UserError, match=r"Received: block_filters=.*$"):
        path_lengths(filters)


def test_a_plain_net_counts_all_channels_of_its_blocks():
    expected = {
        "block1_0": 16 + 16,
        "block2_0": 16 + 32,
        "block3_0": 32 + 64,
    }
    for activation in ("relu", "rrelu"):
        model = models.create("wrn_10_1", activation=activation, **SHAPE)
        assert block_filters(model) == expected


def test_dead_slopes_are_no_filters():
    model = models.create("wrn_10_1", activation="rrelu", **SHAPE)
    slope = np.ones(16)
    slope[:5], slope[5] = 0, -0.04
    model.get_layer("block1_0_rrelu2").slope.assign(slope)
    assert block_filters(model)["block1_0"] == 16 + 11
    assert block_filters(model, zeta=0.05)["block1_0"] == 16 + 10


def test_masked_norms_are_no_filters():
    model = models.create("wrn_10_1", activation="relu", **SHAPE)
    score = rrelu_tf.score(model, "bn")
    keep = {key: np.ones(len(values), bool) for key, values in score.items()}
    keep["block1_0_bn2"][:5] = False
    expected = block_filters(model) | {"block1_0": 16 + 11}
    assert block_filters(rrelu_tf.mask(model, keep)) == expected


def test_the_activation_behind_the_add_belongs_to_its_block():
    model = models.create("resnet20", activation="rrelu", **SHAPE)
    filters = block_filters(model)
    assert list(filters.values()) == [32] * 3 + [64] * 3 + [128] * 3
    assert list(filters)[0] == "layer1_0"


def block(x, name):
    branch = keras.layers.Activation("relu", name=f"{name}_relu")(x)
    branch = keras.layers.Activation("sigmoid", name=f"{name}_gate")(branch)
    return keras.layers.Add(name=f"{name}_add")([branch, x])


def test_names_that_begin_alike_stay_apart():
    inputs = keras.Input((3,))
    outputs = block(block(block(inputs, "b_1"), "b_1_1"), "b_11")
    filters = block_filters(keras.Model(inputs, outputs))
    assert filters == {"b_1": 3, "b_1_1": 3, "b_11": 3}


def test_a_net_of_keras_itself_has_blocks():
    model = keras.applications.MobileNetV2(
        (32, 32, 3), weights=None, alpha=0.35
    )
    filters = block_filters(model)
    assert len(filters) == 10
    assert filters["block_2"] == 2 * model.get_layer("block_2_expand").filters


def test_a_model_without_blocks_is_one_line():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.ReLU()(inputs), name="plain")
    with pytest.raises(UserError, match=r"residual blocks.*model=plain$"):
        block_filters(model)
    assert known_block_filters(model) is None
