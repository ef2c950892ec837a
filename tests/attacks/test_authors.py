import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf import attacks
from rrelu_tf.attacks import authors, evaluation
from rrelu_tf.errors import UserError

KERNEL = np.array([[2.0, -1.0, 0.5], [-0.5, 1.5, -2.0]])
# Normalised images: all of the second lies outside [0, 1].
IMAGES = np.array([[0.5, 0.4], [-2.1, 1.7]])


def linear(x):
    return x @ tf.constant(KERNEL, x.dtype)


def test_the_lipschitz_search_is_theirs_step_by_step():
    seed = tf.constant([3, 0], tf.int32)
    found = authors.local_lipschitz(linear, IMAGES, epsilon=0.031, seed=3)
    noise = tf.random.stateless_normal(
        IMAGES.shape, seed, dtype=tf.float64, alg="philox"
    )
    p = softmax(IMAGES @ KERNEL)
    moved = IMAGES + 0.001 * noise.numpy()
    for _ in range(60):
        moved = moved + 0.001 * np.sign(slope(p, moved))
        change = np.clip(moved - IMAGES, -0.031, 0.031)
        moved = np.clip(IMAGES + change, 0, 1)
    np.testing.assert_allclose(found, ratio(p, moved), rtol=1e-9)


def softmax(scores):
    scores = np.exp(scores)
    return scores / scores.sum(1, keepdims=True)


def ratio(p, moved):
    q = softmax(moved @ KERNEL)
    distance = np.abs(IMAGES - moved + 1e-6).max(1)
    return (p * np.log(p / q)).sum(1) / distance


def slope(p, moved):
    """Central differences of the ratio, pixel by pixel."""
    slopes = np.zeros_like(moved)
    for pixel in range(2):
        step = np.zeros(2)
        step[pixel] = 1e-7
        slopes[:, pixel] = ratio(p, moved + step) - ratio(p, moved - step)
    return slopes


def test_the_clamp_takes_normalised_images_out_of_the_ball():
    # Wherever the second image moves, the clamp puts it to (0, 1).
    image = IMAGES[1:]
    found = authors.local_lipschitz(linear, image, epsilon=0.031)
    p, q = softmax(image @ KERNEL), softmax(np.array([[0.0, 1.0]]) @ KERNEL)
    expected = (p * np.log(p / q)).sum() / (2.1 - 1e-6)
    np.testing.assert_allclose(found, [expected], rtol=1e-9)


def test_the_mean_divides_by_the_batches_times_the_last_one_s_size():
    assert authors.mean([10.0, 20.0, 2.0], [128, 128, 8]) == 32 / 24
    sizes = [128] * 39 + [8]
    assert sum(sizes) == 5000
    assert authors.mean([1.0] * 40, sizes) == 40 / 320


def test_the_protocol_uses_that_mean():
    images = np.linspace(-1, 2, 10, dtype="f4").reshape(5, 2)
    labels = np.zeros(5, np.int32)
    batches = [(images[:4], labels[:4]), (images[4:], labels[4:])]
    (trial,) = attacks.seed(["llc"])
    figures = evaluation.evaluate(linear, batches, [trial]).figures
    found = figures["llc"]
    # The sum over 5 images, which they divide by 2 batches of 1.
    assert figures["llc_mean"] == pytest.approx(found * 2 / 5)
    # Almost no noise is left after the clamp and 60 steps to the ball's edge.
    total = sum(
        float(tf.reduce_sum(authors.local_lipschitz(linear, images, seed=s)))
        for s in range(4)
    )
    assert found == pytest.approx(total / 4 / (2 * 1), rel=0.05)


def test_pgd_leads_away_from_the_predictions():
    """An image that is wrong may come out right, and none is clipped."""
    images = np.array([[-0.01, 0.0]], "f4")
    by_name = {trial.name: trial for trial in attacks.seed()}
    values = by_name["pgd"].values

    def signed(x):
        return tf.stack([x[:, 0], -x[:, 0]], -1)

    assert np.argmax(signed(images)) == 1
    seed = tf.constant([0, 0], tf.int32)
    labels = tf.constant([0])
    assert values(signed, tf.constant(images), labels, seed) == [1.0]
    assert values(signed, tf.constant(images), 1 - labels, seed) == [0.0]
    assert by_name.keys() == {"fgsm", "pgd", "llc"}


def test_nothing_is_clipped():
    met = []

    def watched(x):
        met.append(x.numpy())
        return linear(x)

    images = tf.constant([[1.0, 0.0]])
    for trial in attacks.seed(["fgsm", "pgd"]):
        met.clear()
        trial.values(watched, images, tf.constant([0]), tf.constant([0, 0]))
        change = np.abs(met[-1] - images)
        np.testing.assert_allclose(change, [[0.031, 0.031]], rtol=1e-4)
        assert met[-1].min() < 0 or met[-1].max() > 1
    # The predictions, 60 gradients, the figure; each step is a fifth.
    assert len(met) == 62
    assert np.abs(met[2] - met[1]).max() == pytest.approx(0.031 / 5, rel=1e-3)


@pytest.mark.parametrize("names", [["square"], ["fgsm", "FGSM"], []])
def test_what_they_did_not_run_is_refused(names):
    with pytest.raises(UserError, match="fgsm, pgd, llc. Received: attacks="):
        attacks.seed(names)


def test_the_library_takes_numpy_and_keras_alike():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(inputs))
    model.layers[-1].set_weights([KERNEL])
    images = IMAGES.astype("f4")
    np.testing.assert_allclose(
        authors.local_lipschitz(attacks.of_normalized(model), images),
        authors.local_lipschitz(linear, images),
        rtol=1e-4,
    )
