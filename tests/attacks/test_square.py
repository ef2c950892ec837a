import numpy as np
import tensorflow as tf

from rrelu_tf.attacks import square
from rrelu_tf.attacks.square import _sides


def compiled(logits, batch, queries):
    """Attacked images; many queries are slow outside a graph."""

    @tf.function(autograph=False)
    def attack(images, labels):
        return square(logits, images, labels, epsilon=0.2, queries=queries)

    return attack(*batch)


def test_images_stay_in_ball_and_box(logits, batch):
    images, labels = batch
    moved = square(logits, images, labels, epsilon=0.2, queries=20)
    assert np.abs(moved - images).max() <= 0.2 + 1e-6
    assert np.min(moved) == 0
    assert np.max(moved) == 1


def test_it_needs_no_gradient(logits, batch, right):
    def rounded(x):
        return logits(tf.round(x * 255) / 255)

    moved = compiled(rounded, batch, queries=100)
    assert right(moved, batch[1]) < right(*batch) * 0.7


def test_more_queries_are_stronger_and_wrong_images_stay(logits, batch, right):
    images, labels = batch
    left = [right(compiled(logits, batch, queries=n), labels) for n in (1, 99)]
    assert left[1] < left[0] < right(images, labels)
    wrong = tf.argmax(logits(images), -1, tf.int32) != labels
    assert wrong.numpy().any()
    moved = square(logits, images, labels, epsilon=0.06, queries=20)
    np.testing.assert_array_equal(moved[wrong], images[wrong])


def test_every_changed_pixel_is_at_the_ball_s_or_the_box_s_edge(logits, batch):
    images, labels = batch
    moved = square(logits, images, labels, epsilon=0.06, queries=30).numpy()
    change = np.abs(moved - images)
    edge = (moved == 0) | (moved == 1) | (change > 0.06 - 1e-6)
    assert (edge | (change == 0)).all()


def test_the_seed_decides(logits, batch):
    def moved(seed):
        return square(logits, *batch, epsilon=0.1, queries=9, seed=seed).numpy()

    np.testing.assert_array_equal(moved(1), moved(1))
    assert (moved(1) != moved(2)).any()


def test_squares_shrink_by_the_published_schedule():
    # 0.8 of 32x32 pixels has a side of 28.6; each halving divides by sqrt 2.
    sides = _sides((None, 32, 32, 3), 10_000)
    after = [0, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001]
    assert sides[after].tolist() == [29, 20, 14, 10, 7, 5, 4, 3, 2, 1]
    assert sides[10] == 29
    assert len(_sides((None, 8, 8, 1), 7)) == 7
    assert _sides((None, 2, 99, 1), 7).max() == 2
