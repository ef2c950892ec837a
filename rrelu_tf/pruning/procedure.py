"""From a trained run to a verified smaller model, its manifest and report."""

import dataclasses
import functools

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.pruning import zeta as zeta_search
from rrelu_tf.pruning.masking import mask
from rrelu_tf.pruning.selection import select
from rrelu_tf.pruning.silencing import Silencing
from rrelu_tf.scoring import score
from rrelu_tf.strip import strip, verify
from rrelu_tf.strip.graph import trace
from rrelu_tf.strip.liveness import analyse
from rrelu_tf.strip.stripped import Stripped


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What `prune` made.

    Attributes:
        model: the stripped model.
        masked: the model of the source's widths that it equals.
        method: what the channels were scored by, as of `rrelu_tf.score`.
        scores: dict: layer -> float array (channels,).
        choice: the `zeta.Choice`; its curve has the thresholds tried.
        equivalence: what `verify` measured.
        align: as it was stripped.
    """

    model: keras.Model
    masked: keras.Model
    method: str
    scores: dict
    choice: zeta_search.Choice
    equivalence: object
    align: str = "gather"


def prune(
    model,
    validation,
    *,
    training=None,
    method="slope",
    zeta="auto",
    tolerance=0.001,
    align="gather",
):
    """Chooses zeta, silences the channels up to it, strips, verifies.

    Args:
        model: a `keras.Model` that returns logits.
        validation: `tf.data.Dataset` of (images, int labels) batches, or None
            where `zeta` is a number.
        training: `tf.data.Dataset` of the same kind, for scores by gradients.
        method: as of `rrelu_tf.score`: "slope", of rotated activations, "bn",
            the scales of batch normalisations (network slimming), and so on.
        zeta: a threshold on the scores, or "auto": `zeta.search` on
            validation.
        tolerance: accuracy that "auto" may give up, in [0, 1].
        align: as of `rrelu_tf.strip`.

    Returns:
        A `Pruned`.

    Raises:
        UserError: a model without such scores, or with scores below 0; a bad
            `zeta`; a threshold that removes nothing, or every channel on the
            way to the output.
        NotEquivalent: the stripped model is not equal to the masked one.
    """
    if zeta == "auto":
        ((_, pruned),) = prune_each(
            *(model, validation, [tolerance]),
            training=training,
            method=method,
            align=align,
        )
        return pruned
    scores = _scores(model, method, training)
    choice = _given(model, scores, validation, zeta)
    if not choice.chosen.dead:
        smallest = min(float(values.min()) for values in scores.values())
        raise UserError(
            "Pruning must remove a channel, and none is at or below zeta; the "
            f"smallest is {smallest:.4g}. Received: zeta={zeta}"
        )
    return _pruned(model, method, scores, choice, align)


def prune_each(
    model,
    validation,
    tolerances,
    *,
    training=None,
    method="slope",
    align="gather",
):
    """`prune` with `zeta="auto"`, at several tolerances.

    The scores are computed once, and so is the accuracy at each threshold.

    Args:
        model: as for `prune`.
        validation: as for `prune`.
        tolerances: floats in [0, 1].
        training: as for `prune`.
        method: as for `prune`.
        align: as for `prune`.

    Yields:
        (tolerance, `Pruned`, or None where no channel may go), by rising
        tolerance.

    Raises:
        UserError: as `prune` does; the largest tolerance allows nothing to go.
        NotEquivalent: a stripped model is not equal to the masked one.
    """
    scores = _scores(model, method, training)
    if validation is None:
        raise UserError(
            "zeta=auto is chosen on validation data, and this run held none "
            "out: give --zeta a number. Received: zeta=auto"
        )
    silencing = Silencing(model, validation, scores)
    accuracy = functools.cache(silencing.accuracy)
    for tolerance in sorted(tolerances):
        choice = zeta_search.search(scores, accuracy, tolerance=tolerance)
        some = choice.chosen.dead > 0
        pruned = some and _pruned(model, method, scores, choice, align)
        yield tolerance, pruned or None
    if not some:
        raise UserError(
            "Pruning must remove a channel, and within a tolerance of "
            f"{100 * tolerance:g} points none may go. Received: zeta=auto"
        )


def _scores(model, method, training):
    scores = score(model, method, training)
    lowest = min(float(values.min()) for values in scores.values())
    if lowest < 0:
        raise UserError(
            "zeta is a threshold on scores of at least 0, and the lowest of "
            f"these is {lowest:.4g}. Received: score={method}"
        )
    return scores


def _pruned(model, method, scores, choice, align):
    keep = select(scores, threshold=choice.chosen.zeta)
    received = f"zeta={choice.chosen.zeta:g}"
    masked, stripped, proof = remove(model, keep, align, received)
    return Pruned(stripped, masked, method, scores, choice, proof, align)


def remove(model, keep, align, received):
    """Masks, strips and verifies.

    Args:
        model: the `keras.Model`.
        keep: dict as of `rrelu_tf.select`.
        align: as of `rrelu_tf.strip`.
        received: "name=value", what an error is to blame.

    Returns:
        (masked model, stripped model, the `Equivalence` of both). `kept` of
        the stripped one is about channels of `model`, though that be stripped.

    Raises:
        UserError: if every channel on the way to the output would go.
        NotEquivalent: the stripped model is not equal to the masked one.
    """
    masked = mask(model, keep)
    if not analyse(trace(masked)).connected:
        name = received.partition("=")[0]
        raise UserError(
            f"{name} must leave a way from the input to the output, and this "
            "one kills every channel of a layer on it. "
            f"Received: {received}"
        )
    if isinstance(masked, Stripped):  # of this model's channels, not of its
        masked.kept = masked.axes = None  # source's, the manifest is to tell
    stripped = strip(masked, align=align)
    return masked, stripped, verify(masked, stripped)


def _given(model, scores, validation, zeta):
    """The trials of a threshold that the user chose, and of 0."""
    silencing = validation and Silencing(model, validation, scores)
    baseline, chosen = (
        zeta_search.Trial(
            threshold,
            sum(
                int((~stays).sum())
                for stays in select(scores, threshold=threshold).values()
            ),
            silencing and silencing.accuracy(threshold or -1.0),
        )
        for threshold in (0.0, zeta)
    )
    return zeta_search.Choice(chosen, baseline, [baseline, chosen])
