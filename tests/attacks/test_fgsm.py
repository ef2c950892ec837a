import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf import attacks
from rrelu_tf.attacks import fgsm
from rrelu_tf.errors import UserError


def test_on_a_linear_model_it_is_its_closed_form():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(12, 3))
    images = rng.uniform(0.2, 0.8, (5, 12))
    labels = np.array([0, 1, 2, 1, 0], np.int32)
    scores = np.exp(images @ kernel)
    error = scores / scores.sum(1, keepdims=True) - np.eye(3)[labels]
    expected = images + 0.1 * np.sign(error @ kernel.T)
    found = fgsm(lambda x: x @ kernel, images, labels, epsilon=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_images_stay_in_ball_and_box(logits, batch):
    images, labels = batch
    moved = fgsm(logits, images, labels, epsilon=0.2)
    assert np.abs(moved - images).max() == pytest.approx(0.2)
    assert np.min(moved) == 0
    assert np.max(moved) == 1


def test_without_bounds_pixels_leave_the_box(logits, batch):
    images, labels = batch
    moved = fgsm(logits, images, labels, epsilon=0.2, bounds=None)
    assert np.min(moved) == pytest.approx(-0.2)
    assert np.max(moved) == pytest.approx(1.2)


def test_it_leads_away_from_the_label(logits, batch, right):
    moved = fgsm(logits, *batch, epsilon=0.2)
    assert right(moved, batch[1]) < right(*batch) / 2


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"epsilon": 0}, "epsilon=0$"),
        ({"epsilon": float("nan")}, "epsilon=nan$"),
        ({"bounds": (1, 0)}, r"bounds=\(1, 0\)$"),
        ({"images": tf.zeros([1, 2], tf.uint8)}, "dtype=uint8$"),
        (
            {"images": tf.constant([[-2.1, 1.7]])},
            "bounds 0.0 to 1.0. Received: images=-2.1 to 1.7$",
        ),
        ({"images": tf.constant([[float("nan"), 0]])}, "images=nan to "),
    ],
)
def test_bad_arguments_are_one_line(change, rule):
    arguments = {"images": tf.zeros([1, 2]), "epsilon": 0.1} | change
    with pytest.raises(UserError, match=rule) as caught:
        fgsm(lambda x: x, labels=[0], **arguments)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "attack",
    [fgsm, attacks.pgd, attacks.square, attacks.local_lipschitz],
    ids=lambda attack: attack.__name__,
)
def test_images_out_of_bounds_are_refused_in_a_graph_too(attack):
    takes_labels = attack is not attacks.local_lipschitz
    given = [[0]] if takes_labels else []

    def logits(x):
        return tf.reshape(x, [-1, 4])

    def call(images):
        return attack(logits, images, *given, epsilon=0.1)

    normalized = tf.fill([1, 2, 2, 1], 1.5)
    with pytest.raises(UserError, match="images=1.5 to 1.5$"):
        call(normalized)
    compiled = tf.function(call, autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="within the boun"):
        compiled(normalized)
    rounded = tf.fill([1, 2, 2, 1], 1 + 1e-6)
    call(rounded), compiled(rounded)
