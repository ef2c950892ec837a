"""One figure that a protocol measures over a data set."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from rrelu_tf.errors import UserError

# The figures that are no accuracies: the local Lipschitz constant, and its
# mean where a protocol's own is none.
LLC = "llc"
LLC_MEAN = "llc_mean"


def average(sums, sizes):
    """The mean over all images of sums over batches of these sizes."""
    return sum(sums) / sum(sizes)


@dataclasses.dataclass(frozen=True)
class Trial:
    """How one figure comes about.

    Attributes:
        name: of the figure: "clean", an attack's name, or `LLC`.
        title: what it is, for people.
        values: function (logits, images, labels, seed int32 [2]) to floats
            `(batch,)`, in TensorFlow.
        mean: function (sums, sizes) of the batches to the figure.
    """

    name: str
    title: str
    values: Callable
    mean: Callable = average


def accuracy(name, title, attack, *, robust=False):
    """A `Trial`: the share that is classified correctly after an attack.

    Args:
        name: of the attack.
        title: for people.
        attack: function (logits, images, labels, seed) to images.
        robust: whether only images count that are right without attack, too:
            one that is led from a wrong class to its own resists nothing.
    """

    def values(logits, images, labels, seed):
        moved = attack(logits, images, labels, seed)
        right = predictions(logits, moved) == labels
        if robust:
            right &= predictions(logits, images) == labels
        return tf.cast(right, tf.float32)

    return Trial(name, title, values)


def predictions(logits, images):
    """The classes that a classifier gives, int32 `(batch,)`."""
    return tf.argmax(logits(images), -1, tf.int32)


def chosen(trials, names):
    """The trials of these names, in their own order.

    Raises:
        UserError: for no name at all, or one that no trial has.
    """
    known = [trial.name for trial in trials]
    for name in names or [""]:
        if name not in known:
            raise UserError(
                f"attacks must be some of {', '.join(known)}. "
                f"Received: attacks={','.join(names)}"
            )
    return [trial for trial in trials if trial.name in names]
