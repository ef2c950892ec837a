import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.attacks import fgsm, pgd
from rrelu_tf.attacks.objective import margin, negative_margin
from rrelu_tf.errors import UserError


def ripple(x):
    """Logits whose gradient at the image points the wrong way."""
    rise = tf.reduce_sum(x - 0.3 * tf.sin(20 * x), -1, keepdims=True)
    return tf.concat([tf.zeros_like(rise), rise], -1)


def test_images_stay_in_ball_and_box(logits, batch):
    images, labels = batch
    moved = pgd(logits, images, labels, epsilon=0.2, steps=5, restarts=2)
    assert np.abs(moved - images).max() <= 0.2 + 1e-6
    assert np.min(moved) == 0
    assert np.max(moved) == 1


def test_it_is_at_least_as_strong_as_one_step(logits, batch, right):
    for epsilon in (0.05, 0.1, 0.2):
        once = fgsm(logits, *batch, epsilon=epsilon)
        often = pgd(logits, *batch, epsilon=epsilon, steps=10)
        assert right(often, batch[1]) <= right(once, batch[1])
    assert right(often, batch[1]) < right(*batch) / 2


def test_without_random_start_a_first_step_of_epsilon_is_fgsm(logits, batch):
    found = pgd(
        logits, *batch, epsilon=0.1, step=0.1, steps=1, random_start=False
    )
    np.testing.assert_array_equal(found, fgsm(logits, *batch, epsilon=0.1))


def test_restarts_keep_each_image_s_strongest_end():
    images, labels = tf.zeros([40, 1]), tf.zeros([40], tf.int32)

    def left(restarts):
        moved = pgd(
            ripple,
            images,
            labels,
            epsilon=0.5,
            steps=3,
            restarts=restarts,
            bounds=None,
        )
        return margin(ripple(moved), labels).numpy()

    alone, best = left(1), left(8)
    assert (best <= alone).all()
    assert (best < alone).any()


def test_the_seed_decides_the_start_and_nothing_else_does(logits, batch):
    def moved(seed):
        return pgd(logits, *batch, epsilon=0.1, steps=2, seed=seed).numpy()

    np.testing.assert_array_equal(moved(1), moved(1))
    assert (moved(1) != moved(2)).any()
    np.testing.assert_array_equal(moved(1), moved(tf.constant([1, 0])))


def test_the_margin_leads_where_cross_entropy_has_saturated(logits, batch):
    def confident(x):
        return 1e4 * logits(x)

    images, labels = batch
    options = {"epsilon": 0.2, "steps": 6, "random_start": False}
    held = pgd(confident, images, labels, **options)
    led = pgd(confident, images, labels, loss=negative_margin, **options)
    correct = margin(confident(images), labels) > 0
    assert (held.numpy() == images.numpy())[correct].all()
    assert (margin(confident(led), labels) < 0).numpy()[correct].mean() > 0.5


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"steps": 0}, "steps=0$"),
        ({"restarts": 0}, "restarts=0$"),
        ({"restarts": 2, "random_start": False}, "restarts=2$"),
    ],
)
def test_bad_arguments_are_refused(change, rule):
    with pytest.raises(UserError, match=rule):
        pgd(lambda x: x, tf.zeros([1, 2]), [0], epsilon=0.1, **change)
