"""The protocol `correct`: attacks on pixels, within what images can be."""

import functools

import tensorflow as tf

from rrelu_tf.attacks import ball, objective
from rrelu_tf.attacks.fgsm import fgsm
from rrelu_tf.attacks.lipschitz import local_lipschitz
from rrelu_tf.attacks.pgd import pgd
from rrelu_tf.attacks.square import square
from rrelu_tf.attacks.trial import Trial, accuracy, chosen

NAMES = ("fgsm", "pgd", "margin", "square", "zero_gradient", "llc")
EPSILON = 8 / 255


def correct(
    names=NAMES, *, epsilon=EPSILON, steps=20, restarts=5, queries=1000
):
    """Attacks in pixel space, away from the true labels.

    Every attacked image lies in [0, 1] and in the L-infinity ball, steps are
    `epsilon / 4`, and all means are over all images; an image withstands an
    attack if it is classified correctly before and after it. `pgd` climbs the
    cross-entropy, `margin` is PGD on the margin: where a network is very
    confident, or hardly at all, cross-entropy is a poor guide, which alone
    says nothing about its gradients. `zero_gradient` is the share of images
    that cross-entropy gives no direction at all.

    Args:
        names: which of `NAMES`.
        epsilon: L-infinity radius, for pixels from 0 to 1.
        steps: int, of PGD and of the Lipschitz search.
        restarts: int, of PGD and of the Lipschitz search.
        queries: int, of the square attack.

    Returns:
        List of `Trial`s of images with pixels in [0, 1].

    Raises:
        UserError: for an impossible argument, or a name that is not known.
    """
    ball.check(epsilon, None, steps=steps, restarts=restarts, queries=queries)
    radius = {"epsilon": epsilon}
    climb = radius | {"steps": steps, "restarts": restarts}
    withstood = functools.partial(accuracy, robust=True)
    often = f"{steps:,} steps, {restarts:,} start{'s' * (restarts > 1)}"
    trials = [
        withstood("fgsm", "FGSM", _with_labels(fgsm, **radius)),
        withstood("pgd", f"PGD, {often}", _seeded(pgd, **climb)),
        withstood(
            "margin",
            f"PGD on the margin, {often}",
            _seeded(pgd, loss=objective.negative_margin, **climb),
        ),
        withstood(
            "square",
            f"square, {queries:,} queries",
            _seeded(square, queries=queries, **radius),
        ),
        Trial("zero_gradient", "images without a gradient", _zero_gradient),
        Trial(
            "llc",
            f"local Lipschitz constant, {often}",
            lambda logits, images, _, seed: local_lipschitz(
                logits, images, seed=seed, **climb
            ),
        ),
    ]
    return chosen(trials, names)


def _with_labels(attack, **options):
    return lambda logits, images, labels, _: attack(
        logits, images, labels, **options
    )


def _seeded(attack, **options):
    return lambda logits, images, labels, seed: attack(
        logits, images, labels, seed=seed, **options
    )


def _zero_gradient(logits, images, labels, _):
    found = objective.has_no_gradient(logits, images, labels)
    return tf.cast(found, tf.float32)
