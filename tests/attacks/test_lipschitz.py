import itertools

import numpy as np
import tensorflow as tf

from rrelu_tf.attacks import lipschitz, local_lipschitz

KERNEL = tf.constant([[2.0, -1.0, 0.5], [-0.5, 1.5, -2.0]], tf.float64)
IMAGES = tf.constant([[0.5, 0.5], [0.97, 0.97]], tf.float64)


def linear(x):
    return x @ KERNEL


def grid(image, epsilon):
    """The greatest ratio over a grid of ball and box, by numpy alone."""

    def probabilities(x):
        scores = np.exp(x @ KERNEL.numpy())
        return scores / scores.sum()

    sides = [
        np.linspace(max(p - epsilon, 0), min(p + epsilon, 1), 81) for p in image
    ]
    p, greatest = probabilities(image), 0
    for point in itertools.product(*sides):
        q = probabilities(np.array(point))
        distance = np.abs(image - point + 1e-6).max()
        if distance > 1e-4:
            value = (p * np.log(p / q)).sum() / distance
            greatest = max(greatest, value)
    return greatest


def test_of_a_linear_net_it_is_the_greatest_value_on_a_grid():
    found = local_lipschitz(linear, IMAGES, epsilon=0.1, restarts=8)
    for value, image in zip(found.numpy(), IMAGES.numpy(), strict=True):
        expected = grid(image, 0.1)
        np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_ball_and_box_hold_it_back():
    met = []

    def watched(x):
        met.append(x.numpy())
        return linear(x)

    held = local_lipschitz(watched, IMAGES, epsilon=0.1, restarts=8)
    change = np.abs(np.stack(met) - IMAGES.numpy()).max()
    assert 0.099 < change <= 0.1 + 1e-12
    assert np.max(met) == 1
    free = local_lipschitz(linear, IMAGES, epsilon=0.1, bounds=None, restarts=8)
    assert (free >= held).numpy().all()
    assert free[1] > held[1]


def test_a_constant_classifier_has_none_and_a_steeper_one_more(logits, batch):
    images = batch[0]

    def constant(x):
        return 0 * logits(x)

    def steeper(x):
        return 3 * logits(x)

    assert (
        not local_lipschitz(constant, images, epsilon=0.03, steps=5)
        .numpy()
        .any()
    )
    plain = local_lipschitz(logits, images, epsilon=0.03, steps=5).numpy()
    assert local_lipschitz(
        steeper, images, epsilon=0.03, steps=5
    ).numpy().mean() > (2 * plain.mean())


def test_more_restarts_find_at_least_as_much_and_the_seed_decides(
    logits, batch
):
    def found(**options):
        return local_lipschitz(
            logits, batch[0], epsilon=0.1, steps=3, **options
        ).numpy()

    assert (found(restarts=3) >= found() - 1e-6).all()
    np.testing.assert_array_equal(found(seed=1), found(seed=1))
    assert (found(seed=1) != found(seed=2)).any()


def test_the_ratio_is_kl_over_the_largest_change():
    moved = IMAGES + tf.constant([[0.02, -0.05], [0.0, 0.01]], tf.float64)
    p, q = (tf.nn.softmax(linear(x)).numpy() for x in (IMAGES, moved))
    expected = (p * np.log(p / q)).sum(1) / (np.array([0.05, 0.01]) + 1e-6)
    found = lipschitz.ratio(linear, IMAGES, moved)
    np.testing.assert_allclose(found, expected, rtol=3e-4)
