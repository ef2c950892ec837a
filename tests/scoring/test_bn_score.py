"""|gamma| of batch normalisations."""

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError


def test_scores_are_the_sizes_of_the_scales_in_forward_order():
    model = rrelu_tf.models.create(
        "resnet20", num_classes=3, input_shape=(8, 8, 1)
    )
    gamma = np.linspace(-1, 1, 16)
    model.get_layer("layer1_0_bn1").gamma.assign(gamma)
    scores = rrelu_tf.score(model, "bn")
    names = [x.name for x in model.layers if "bn" in x.name]
    assert list(scores) == names
    np.testing.assert_allclose(scores["layer1_0_bn1"], np.abs(gamma), 1e-6)


def test_a_mask_of_its_choice_is_stripped_exactly():
    model = rrelu_tf.models.create(
        "resnet20", num_classes=3, input_shape=(8, 8, 1)
    )
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0.3, 0.2, variable.shape))
    keep = rrelu_tf.select(rrelu_tf.score(model, "bn"), sparsity=0.5)
    masked = rrelu_tf.mask(model, keep)
    small = rrelu_tf.strip(masked)
    rrelu_tf.verify(masked, small)
    assert small.count_params() < 0.5 * model.count_params()


def test_norms_without_a_scale_have_no_score():
    i = keras.Input((4, 4, 3))
    x = keras.layers.BatchNormalization(scale=False)(i)
    with pytest.raises(UserError, match="No layer .* bn score"):
        rrelu_tf.score(keras.Model(i, x), "bn")
