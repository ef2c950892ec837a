"""The attacks as the RReLU paper's authors ran them, mistakes included."""

import tensorflow as tf

from rrelu_tf.attacks import ball, draws, lipschitz, objective
from rrelu_tf.attacks.fgsm import fgsm
from rrelu_tf.attacks.pgd import pgd
from rrelu_tf.attacks.trial import Trial, accuracy, chosen, predictions

NAMES = ("fgsm", "pgd", "llc")
EPSILON = 0.031
_PGD_STEPS = 60
_LLC_STEPS = 60
_LLC_STEP = 0.001


def seed(names=NAMES, *, epsilon=EPSILON):
    """The protocol `seed`: what the authors' evaluation computes.

    Its mistakes, all of them kept:

    1. The attacks work on normalised images: 0.031 is about 0.031 * 0.225 =
       0.007 of the pixels' range, 1.8/255, far less than the usual 8/255.
    2. Nothing keeps the pixels valid: neither FGSM nor PGD clips.
    3. PGD leads away from the model's own predictions, not from the labels:
       an image that is classified wrongly may be led to its own class, and
       counts as a success of the defence.
    4. The Lipschitz search clamps normalised images to [0, 1], which takes
       them out of the ball; see `local_lipschitz`.
    5. Its mean divides by the wrong number; see `mean`.

    PGD is that of cleverhans 4.0.0: 60 steps of epsilon / 5 from a start
    uniform in the ball. Their FGSM's default epsilon is 0.1; they ran 0.031.
    There is neither a restart nor an attack without gradients.

    Two things of theirs are not repeated, since they are not of the attacks:
    their command's `--zeta` is 0 unless it is given, so that the network which
    they attack is not pruned; and they attack 5,000 images, one half of the
    test set by which they had chosen the epoch. Mistake 5 makes their constant
    depend on how many images there are, and on the batches: `evaluate` gives
    the mean over the images beside it.

    Args:
        names: which of `NAMES`.
        epsilon: L-infinity radius, in units of normalised images.

    Returns:
        List of `Trial`s of normalised images.

    Raises:
        UserError: for an impossible radius, or a name that is not known.
    """
    ball.check(epsilon, None)
    trials = [
        accuracy(
            "fgsm",
            "FGSM, not clipped",
            lambda logits, x, labels, _: fgsm(
                logits, x, labels, epsilon=epsilon, bounds=None
            ),
        ),
        accuracy(
            "pgd",
            f"PGD, {_PGD_STEPS} steps away from the predictions, not clipped",
            lambda logits, x, _, seed: pgd(
                logits,
                x,
                predictions(logits, x),
                epsilon=epsilon,
                step=epsilon / 5,
                steps=_PGD_STEPS,
                seed=seed,
                bounds=None,
            ),
        ),
        Trial(
            "llc",
            f"local Lipschitz constant, {_LLC_STEPS} steps, wrong divisor",
            lambda logits, x, _, seed: local_lipschitz(
                logits, x, epsilon=epsilon, seed=seed
            ),
            mean,
        ),
    ]
    return chosen(trials, names)


def local_lipschitz(logits, images, *, epsilon=EPSILON, seed=0):
    """The `lipschitz.ratio` where the authors' search ends.

    60 steps of 0.001 from `x + 0.001 * N(0, 1)`, each brought back to the ball
    and then clamped to [0, 1]. The images are normalised, so that the clamp is
    a mistake: it takes all that lies below 0 or above 1 out of the ball, by up
    to 2.1, and the end is not where the ratio is greatest.

    Args:
        logits: function of normalised images to logits `(batch, classes)`.
        images: float `(batch, ...)`.
        epsilon: L-infinity radius, in units of normalised images.
        seed: int, or int32 [2].

    Returns:
        Floats `(batch,)`.
    """
    ball.check(epsilon, None)
    images = ball.floating(images)

    log_p = tf.nn.log_softmax(logits(images))

    def value(moved):
        return lipschitz.ratio(logits, images, moved, log_p)

    def project(moved):
        return ball.project(moved, images, epsilon, (0.0, 1.0))

    moved, _ = objective.climb(
        value,
        tf.ensure_shape(lipschitz.near(images, draws.pair(seed)), images.shape),
        step=_LLC_STEP,
        steps=_LLC_STEPS,
        project=project,
    )
    return value(moved)


def mean(sums, sizes):
    """Their mean of the constants: the sum over (batches * last batch's size).

    With 5,000 images in batches of 128 that is 40 * 8 = 320, 15.6 times too
    few: the mistake makes every constant they print 15.6 times too large.

    Args:
        sums: list of floats, of each batch.
        sizes: list of ints, of each batch.
    """
    return sum(sums) / (len(sizes) * sizes[-1])
