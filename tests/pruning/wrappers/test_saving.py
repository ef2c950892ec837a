"""A schedule goes on where it was, from a file too."""

import keras
import numpy as np
import pytest
import small_nets as nets

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.models import keras_file
from rrelu_tf.pruning.wrappers.bare import bare, wrappers


def pruned(net=nets.dense_net, score="l1", soft=False):
    return nets.compiled(
        rrelu_tf.prune_channels(net(), nets.growing(), score, soft=soft)
    )


def assert_same(a, b):
    assert len(a.weights) == len(b.weights)
    for x, y in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("net", "score", "soft"),
    [
        (nets.dense_net, "l1", False),
        (nets.dense_net, "l1", True),
        (nets.conv_net, "l1", False),
        (nets.conv_net, "bn", False),
        (nets.conv_net, "bn", True),
        (nets.conv_net, "slope", False),
    ],
)
def test_a_model_saved_in_the_middle_of_a_schedule_goes_on(
    net, score, soft, tmp_path
):
    whole = pruned(net, score, soft)
    start = keras.models.clone_model(whole)
    start.set_weights(whole.get_weights())
    nets.compiled(start)
    nets.fit(whole, 2)
    nets.fit(start, 1)
    start.save(tmp_path / "middle.keras")
    middle = keras.models.load_model(tmp_path / "middle.keras")
    for wrapper in wrappers(middle).values():
        assert wrapper.steps() == nets.BATCHES
        assert (wrapper.soft, wrapper.score) == (soft, score)
    np.testing.assert_equal(nets.masks(middle), nets.masks(start))
    nets.fit(middle, 2, initial_epoch=1)
    assert_same(middle, whole)
    small = rrelu_tf.strip_pruning(middle)
    assert small.count_params() < net().count_params()
    masked = rrelu_tf.mask(bare(whole), nets.masks(whole))
    x = nets.data()[0]
    np.testing.assert_allclose(small(x), masked(x), atol=1e-5)


def test_weights_alone_hold_the_masks_too(tmp_path):
    model = pruned()
    nets.fit(model, 1)
    model.save_weights(tmp_path / "some.weights.h5")
    other = rrelu_tf.prune_channels(nets.dense_net(), nets.growing())
    other.load_weights(tmp_path / "some.weights.h5")
    assert_same(model, other)


def test_a_configuration_holds_every_argument():
    given = {
        "score": "fpgm",
        "score_options": {"normalize": "layer"},
        "scope": "global",
        "min_fraction": 0.25,
        "soft": True,
    }
    layer = keras.layers.Dense(4, name="d")
    made = rrelu_tf.prune_channels(layer, nets.growing(), **given)
    again = keras.layers.deserialize(keras.layers.serialize(made))
    assert {name: getattr(again, name) for name in given} == given
    assert again.settings() == made.settings()
    assert (again.layer.units, again.name) == (4, "d")


def test_a_schedule_that_cannot_be_found_again_says_what_to_do():
    class Unknown(rrelu_tf.pruning.schedules.ConstantSparsity):
        pass

    made = rrelu_tf.prune_channels(keras.layers.Dense(4), Unknown(0.5, 0))
    config = keras.layers.serialize(made)
    with pytest.raises((UserError, TypeError), match="register_keras_seri"):
        keras.layers.deserialize(config)


def test_commands_refuse_a_file_of_wrappers_and_the_advice_is_good(tmp_path):
    model, path = pruned(), tmp_path / "middle.keras"
    nets.fit(model)
    model.save(path)
    with pytest.raises(UserError, match="strip_pruning") as caught:
        keras_file.load(path)
    assert str(caught.value).endswith(f"Received: model={path}")
    assert "\n" not in str(caught.value)
    rrelu_tf.strip_pruning(keras.models.load_model(path)).save(path)
    small, x = keras_file.load(path), nets.data()[0]
    np.testing.assert_allclose(small(x), model(x), atol=1e-5)
