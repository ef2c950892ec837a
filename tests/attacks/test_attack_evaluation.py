import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf import attacks
from rrelu_tf.attacks import sampling
from rrelu_tf.errors import UserError


def test_figures_are_means_over_all_images(logits, batches, right):
    trials = attacks.correct(["fgsm", "llc"], epsilon=0.1, steps=3, restarts=1)
    found = attacks.evaluate(logits, batches, trials)
    clean, left, constants = 0, 0, []
    for images, labels in batches:
        clean += right(images, labels)
        moved = attacks.fgsm(logits, images, labels, epsilon=0.1)
        found_at = [tf.argmax(logits(x), -1) for x in (images, moved)]
        both = [at == tf.cast(labels, tf.int64) for at in found_at]
        left += int(np.logical_and(*both).sum())
        constants.append(
            attacks.local_lipschitz(logits, images, epsilon=0.1, steps=3)
        )
    assert found.examples == 150
    assert found.figures["clean"] == pytest.approx(clean / 150)
    assert found.figures["fgsm"] == pytest.approx(left / 150)
    # The search's start is drawn anew for each batch.
    mean = np.concatenate(constants).mean()
    assert found.figures["llc"] == pytest.approx(mean, rel=0.1)
    assert list(found.figures) == list(found.titles) == ["clean", "fgsm", "llc"]


def test_an_image_led_to_its_own_class_withstands_nothing():
    """Wrong at first, right after a step: robust only by the seed protocol."""
    images, labels = np.array([[0.5]], "f4"), np.array([0])
    kernel = tf.constant([[1.0, 1.0]])

    def misled(x):  # the gradient leads from the wrong class to the right one
        flipped = 2 * tf.stop_gradient(x) - x
        return tf.stack([x[:, 0] - 0.55, 0.55 - x[:, 0]], -1) + (
            flipped - tf.stop_gradient(x)
        ) @ (10 * kernel * [[1.0, -1.0]])

    for trials, left in (
        (attacks.correct(["fgsm"], epsilon=0.1), 0.0),
        (attacks.seed(["fgsm"], epsilon=0.1), 1.0),
    ):
        found = attacks.evaluate(misled, [(images, labels)], trials)
        assert found.figures == {"clean": 0.0, "fgsm": left}


def test_each_trial_is_compiled_once(logits, batches):
    traced = []

    def watched(x):
        traced.append(x.shape)
        return logits(x)

    assert len({len(labels) for _, labels in batches}) == 2
    attacks.evaluate(watched, batches, attacks.correct(["fgsm"]))
    # No attack: 1; FGSM: for the gradient, and for both predictions.
    assert len(traced) == 4


def test_the_seed_decides_every_figure():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(50, 3, 3, 1)).astype("f4")
    kernel = rng.normal(size=(9, 4)).astype("f4")
    labels = rng.integers(4, size=50)
    names = ["pgd", "square", "llc"]
    trials = attacks.correct(names, steps=1, restarts=2, queries=2)

    def linear(x):
        return tf.reshape(x, [-1, 9]) @ kernel

    def figures(seed):
        batches = [(images, labels)]
        return attacks.evaluate(linear, batches, trials, seed=seed).figures

    assert figures(1) == figures(1)
    assert figures(1)["llc"] != figures(2)["llc"]


def test_no_images_are_refused(logits):
    with pytest.raises(UserError, match="examples=0$"):
        attacks.evaluate(logits, [], [])


def test_progress_is_a_line_per_trial_where_there_is_no_terminal(
    logits, batches, capsys
):
    trials = attacks.correct(["fgsm"])
    attacks.evaluate(logits, batches, trials, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["done: accuracy without attack", "done: FGSM"]
    attacks.evaluate(logits, batches, trials)
    assert capsys.readouterr().out == ""


def test_a_sample_is_of_the_test_images_and_the_seed_s_choice(digits):
    def drawn(**options):
        return np.concatenate(
            [x for x, _ in sampling.batches(digits, **options)]
        )

    whole = np.concatenate([x for x, _ in digits.test])
    np.testing.assert_array_equal(drawn(count=10**6), whole)
    some = drawn(count=20, seed=1)
    assert len(some) == 20
    known = {image.tobytes() for image in whole}
    assert {image.tobytes() for image in some} <= known
    np.testing.assert_array_equal(some, drawn(count=20, seed=1))
    assert (some != drawn(count=20, seed=2)).any()


def test_pixels_and_normalised_images_give_the_same_logits(
    model, logits, batches, digits
):
    (images, labels), (normalized, same) = (
        next(iter(batches)),
        next(iter(sampling.batches(digits, 150))),
    )
    assert 0 <= np.min(images) < np.max(images) <= 1
    assert np.min(normalized) < 0
    np.testing.assert_array_equal(labels, same)
    expected = attacks.of_normalized(model)(normalized)
    np.testing.assert_allclose(logits(images), expected, atol=1e-4)
    assert logits(tf.zeros_like(images)).dtype == tf.float32
