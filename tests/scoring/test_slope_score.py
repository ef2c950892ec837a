import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RGELU, Rotated, RReLU, RSiLU


def small(**options):
    return models.create(
        "wrn_10_1", num_classes=2, input_shape=(8, 8, 3), **options
    )


@pytest.mark.parametrize("name", ["resnet20", "wrn_10_1", "fcnn"])
def test_scores_are_the_slopes_sizes_in_the_order_of_the_layers(name):
    model = models.create(
        name, num_classes=2, input_shape=(8, 8, 3), activation="rrelu"
    )
    scores = rrelu_tf.score(model, "slope")
    rotated = [x for x in model.layers if isinstance(x, Rotated)]
    assert list(scores) == [layer.name for layer in rotated]
    for layer in rotated:
        values = scores[layer.name]
        assert isinstance(values, np.ndarray)
        assert values.dtype == "float32"
        assert np.array_equal(values, np.abs(layer.slope.numpy()))
        assert (layer.slope.numpy() < 0).any()


@pytest.mark.parametrize("activation", ["rgelu", "rsilu"])
def test_every_rotated_activation_is_scored(activation):
    assert len(rrelu_tf.score(small(activation=activation), "slope")) == 6


def test_only_rotated_layers_are_scored():
    i = keras.Input((4,))
    x = layers.Dense(3)(RGELU(name="g")(RReLU(name="r")(i)))
    x = RSiLU(name="s")(layers.ReLU()(x))
    model = keras.Model(i, layers.Dense(2)(x))
    scores = rrelu_tf.score(model, method="slope")
    assert {key: value.shape for key, value in scores.items()} == {
        "r": (4,),
        "g": (4,),
        "s": (3,),
    }


def test_a_shared_activation_is_scored_once():
    act = RReLU(name="act")
    i = keras.Input((4,))
    model = keras.Model(i, layers.Dense(2)(act(layers.Dense(4)(act(i)))))
    assert list(rrelu_tf.score(model, "slope")) == ["act"]


def test_no_slopes_of_an_output_are_scored_nor_may_they_be_selected():
    i = keras.Input((4,))
    last = RReLU(name="last")
    x = last(layers.Dense(4)(RReLU(name="first")(i)))
    model = keras.Model(i, x)
    scores = rrelu_tf.score(model, "slope")
    assert list(scores) == ["first"]
    keep = rrelu_tf.select(scores, sparsity=0.5, model=model)
    assert rrelu_tf.strip(rrelu_tf.mask(model, keep)).count_params() < (
        model.count_params()
    )
    slopes = {"last": np.abs(last.slope)}
    with pytest.raises(UserError, match="Received: key=last$"):
        rrelu_tf.select(slopes, sparsity=0.5, model=model)
    # Called once inside and once at the end, it is the output's, too.
    shared = RReLU(name="shared")
    end = shared(layers.Dense(4)(shared(layers.Dense(4)(x))))
    assert list(rrelu_tf.score(keras.Model(i, end), "slope")) == [
        *("first", "last"),
    ]
    with pytest.raises(UserError, match="No layer .*slope.*Received: model="):
        rrelu_tf.score(keras.Model(i, RReLU()(i)), "slope")


def test_a_score_is_a_copy():
    model = small(activation="rrelu")
    scores = rrelu_tf.score(model, "slope")
    before = model.get_weights()
    for values in scores.values():
        values[:] = 0
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_plain_network_has_no_slopes():
    with pytest.raises(UserError, match="Received: model=wrn_10_1$"):
        rrelu_tf.score(small(activation="relu"), "slope")


def test_an_unknown_method_is_refused():
    with pytest.raises(UserError, match="Received: method=magic$"):
        rrelu_tf.score(small(activation="rrelu"), "magic")
