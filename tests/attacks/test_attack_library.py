"""FGSM and PGD against those of the Adversarial Robustness Toolbox."""

import keras
import numpy as np
import pytest

from rrelu_tf.attacks import fgsm, pgd

evasion = pytest.importorskip("art.attacks.evasion")


@pytest.fixture
def classifier(logits, digits):
    from art.estimators.classification import TensorFlowV2Classifier

    return TensorFlowV2Classifier(
        model=lambda images, training=False: logits(images),
        nb_classes=10,
        input_shape=digits.image_shape,
        loss_object=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        ),
        clip_values=(0.0, 1.0),
    )


def test_fgsm_is_the_library_s(classifier, logits, batch):
    images, labels = batch
    theirs = evasion.FastGradientMethod(classifier, eps=0.1)
    expected = theirs.generate(images.numpy(), labels.numpy())
    found = fgsm(logits, images, labels, epsilon=0.1).numpy()
    assert agreeing(found, expected) > 0.999


def test_pgd_is_the_library_s(classifier, logits, batch):
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
