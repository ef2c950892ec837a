"""l1, sfp, fpgm and random of every layer that has filters."""

import keras
import numpy as np
import pytest
from keras import layers

import rrelu_tf
from rrelu_tf.errors import UserError


def rows(zoo, key):
    """The filters of a layer of `zoo`, one a row."""
    layer = zoo
    for name in key.split("/"):
        layer = layer.get_layer(name)
    if key == "separable":
        return layer.pointwise_kernel.numpy().reshape(-1, 6).T
    kernel = layer.kernel.numpy()
    if key == "depthwise":  # output c * 2 + m: the m-th kernel of channel c
        return kernel.reshape(9, 16).T
    if key == "transposed":
        return kernel.transpose(2, 0, 1, 3).reshape(5, -1)
    if key == "einsum":
        return kernel
    return kernel.reshape(-1, kernel.shape[-1]).T


_KEYS = [
    *("twice", "grouped", "depthwise", "separable", "transposed"),
    *("inner/conv", "einsum", "tokens", "causal", "hidden"),
]


def test_norms_of_filters_are_those_of_their_entries(zoo):
    l1, sfp = (rrelu_tf.score(zoo, method) for method in ("l1", "sfp"))
    assert list(l1) == list(sfp) == _KEYS
    for key in _KEYS:
        filters = rows(zoo, key)
        np.testing.assert_allclose(l1[key], np.abs(filters).sum(1), 1e-12)
        np.testing.assert_allclose(
            sfp[key], np.sqrt((filters**2).sum(1)), 1e-12
        )


def test_distances_are_those_between_all_pairs(zoo):
    found = rrelu_tf.score(zoo, "fpgm")
    assert list(found) == _KEYS
    for key, values in found.items():
        filters = rows(zoo, key)
        differences = filters[:, None] - filters
        expected = np.linalg.norm(differences, axis=2).sum(1)
        np.testing.assert_allclose(values, expected, 1e-9)


def test_the_filter_in_the_middle_is_the_least_by_fpgm():
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(5, name="five"), layers.Dense(2)]
    )
    kernel = np.float32([[1, -1, 0.1, 0, 0], [0, 0, 0, 1, -1]]) + 7
    model.layers[0].set_weights([kernel, np.zeros(5)])
    assert np.argmin(rrelu_tf.score(model, "fpgm")["five"]) == 2


def test_random_scores_are_drawn_from_the_seed(zoo):
    first, again, other = (
        rrelu_tf.score(zoo, "random", seed=seed) for seed in (0, 0, 1)
    )
    assert list(first) == _KEYS
    for key, values in first.items():
        assert ((values >= 0) & (values < 1)).all()
        assert len(np.unique(values)) == len(values) == len(rows(zoo, key))
        assert np.array_equal(values, again[key])
        assert not np.array_equal(values, other[key])


@pytest.mark.parametrize("method", ["l1", "bn"])
def test_normalised_layers_have_scores_of_norm_1(zoo, method):
    plain = rrelu_tf.score(zoo, method)
    found = rrelu_tf.score(zoo, method, normalize="layer")
    for key, values in found.items():
        norm = np.linalg.norm(plain[key])
        np.testing.assert_allclose(values * norm, plain[key], 1e-6)
        assert np.linalg.norm(values) == pytest.approx(1)


def test_a_layer_of_zeros_stays_so_when_normalised():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(3, kernel_initializer="zeros"),
            layers.Dense(2),
        ]
    )
    (values,) = rrelu_tf.score(model, "l1", normalize="layer").values()
    assert (values == 0).all()


def test_scales_over_the_fan_in_of_what_lies_before_them():
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(6, 3, groups=2)(image)
    x = layers.BatchNormalization(name="first")(layers.ReLU()(x))
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.BatchNormalization(name="second")(x)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    found = rrelu_tf.score(model, "bn", over_fan_in=True)
    assert np.allclose(found["first"], 1 / 18)
    assert np.allclose(found["second"], 1 / 9)


def test_a_norm_of_the_images_is_behind_no_filter():
    image = keras.Input((4,))
    x = layers.BatchNormalization(name="norm")(image)
    model = keras.Model(image, layers.Dense(2)(layers.Dense(3)(x)))
    with pytest.raises(UserError, match="Received: norm=norm$"):
        rrelu_tf.score(model, "bn", over_fan_in=True)
