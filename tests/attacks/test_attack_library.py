"""The attacks against those of the Adversarial Robustness Toolbox."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.attacks import fgsm, pgd, square


@pytest.fixture(scope="module")
def evasion():
    """The library's attacks.

    Its first import on a machine writes a file, which two processes that
    collect tests would do at once: so it waits until a test runs.
    """
    return pytest.importorskip("art.attacks.evasion")


@pytest.fixture
def classifier(logits, digits):
    return wrapped(logits, digits.image_shape, 10)


def wrapped(logits, shape, classes):
    from art.estimators.classification import TensorFlowV2Classifier

    return TensorFlowV2Classifier(
        model=lambda images, training=False: logits(images),
        nb_classes=classes,
        input_shape=shape,
        loss_object=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        ),
        clip_values=(0.0, 1.0),
    )


def test_fgsm_is_the_library_s(evasion, classifier, logits, batch):
    images, labels = batch
    theirs = evasion.FastGradientMethod(classifier, eps=0.1)
    expected = theirs.generate(images.numpy(), labels.numpy())
    found = fgsm(logits, images, labels, epsilon=0.1).numpy()
    assert agreeing(found, expected) > 0.999


def test_pgd_is_the_library_s(evasion, classifier, logits, batch):
    images, labels = batch
    theirs = evasion.ProjectedGradientDescent(
        classifier,
        eps=0.1,
        eps_step=0.025,
        max_iter=10,
        num_random_init=0,
        verbose=False,
    )
    expected = theirs.generate(images.numpy(), labels.numpy())
    found = pgd(
        logits, images, labels, epsilon=0.1, steps=10, random_start=False
    ).numpy()
    assert agreeing(found, expected) > 0.99
    assert (found != images.numpy()).any()


def agreeing(found, expected):
    """Share of pixels that agree: signs of gradients near 0 may differ."""
    return np.isclose(found, expected, atol=1e-5).mean()


def squares(evasion, logits, shape, classes, images, labels, **options):
    """The predictions after our square attack, and after the library's."""

    @tf.function(autograph=False)
    def ours(images, labels):
        return square(logits, images, labels, **options)

    np.random.seed(0)  # the library draws from it
    theirs = evasion.SquareAttack(
        wrapped(logits, shape, classes),
        eps=options["epsilon"],
        max_iter=options["queries"],
        p_init=0.8,
        verbose=False,
    ).generate(images.numpy(), labels.numpy())
    moved = ours(images, labels).numpy(), theirs
    for x in moved:
        assert np.abs(x - images).max() <= options["epsilon"] + 1e-6
    return [np.argmax(logits(x), axis=-1) for x in moved]


def test_square_breaks_as_many_images_as_the_library_s(
    evasion, logits, digits, batch
):
    images, labels = batch
    found = squares(
        *(evasion, logits, digits.image_shape, 10, images, labels),
        epsilon=0.1,
        queries=200,
    )
    ours, theirs = (np.mean(at != labels) for at in found)
    clean = np.mean(np.argmax(logits(images), axis=-1) != labels)
    assert clean + 0.1 < min(ours, theirs)
    assert abs(ours - theirs) < 0.1


def test_squares_break_what_a_linear_bound_says_can_be_broken(evasion):
    """A linear margin falls by at most epsilon times the norm of its weights.

    Image i is `distances[i]` of that norm away from the other class.
    """
    shape, epsilon = (6, 6, 1), 0.1
    weights = np.random.default_rng(0).normal(size=36).astype("f4")
    distances = np.linspace(0.02, 0.18, 30, dtype="f4")
    images = 0.5 + distances[:, None] * np.sign(weights)
    images = tf.constant(images.reshape(-1, *shape))
    labels = tf.zeros(30, tf.int32)

    def linear(x):
        margin = tf.linalg.matvec(tf.reshape(x - 0.5, [-1, 36]), weights)
        return tf.stack([margin, tf.zeros_like(margin)], -1)

    for at in squares(
        *(evasion, linear, shape, 2, images, labels),
        epsilon=epsilon,
        queries=800,
    ):
        assert (at[distances < 0.6 * epsilon] == 1).all()
        assert (at[distances > epsilon] == 0).all()
