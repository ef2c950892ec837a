"""Stratified splits on drawn labels."""

import numpy as np
import pytest

from rrelu_tf.data.splitting import stratified
from rrelu_tf.errors import UserError


@pytest.mark.parametrize("fraction", [0.01, 0.1, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_split_is_exact_disjoint_and_stratified(fraction, seed):
    labels = np.random.RandomState(seed).randint(0, 7, 501)
    rest, held_out = stratified(labels, fraction, seed)
    assert len(held_out) == round(fraction * 501)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([rest, held_out])), np.arange(501)
    )
    found = np.bincount(labels[held_out], minlength=7)
    assert np.all(np.abs(found - np.bincount(labels) * fraction) < 1)


def test_a_class_without_training_example_is_an_error():
    labels = np.array([0] * 100 + [1])
    with pytest.raises(UserError, match="leaves class 1 none"):
        stratified(labels, 0.99, 0)
    rest, _ = stratified(labels, 0.1, 0)
    assert 1 in labels[rest]
