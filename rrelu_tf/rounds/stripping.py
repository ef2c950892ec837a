"""Writes what one round pruned, before it is retrained, with its figures."""

import json

import keras

from rrelu_tf import atomic
from rrelu_tf.analysis import accuracy, explain, paths
from rrelu_tf.analysis.profile import profile
from rrelu_tf.analysis.report import measurements
from rrelu_tf.pruning import manifest
from rrelu_tf.recalibration import recalibrate
from rrelu_tf.rounds.cutting import cut
from rrelu_tf.training import scored_examples

_FIGURES = "round.json"


def write(folder, model, base, plan, number, data, rounds):
    """Prunes by a plan's round and writes it whole, or not at all.

    `model.keras`, the stripped model, recalibrated if that is asked for;
    `manifest.json`, the channels of the first net that it kept; `layers.txt`,
    before => after and why; `round.json`, its figures.

    Args:
        folder: path to write.
        model: the `keras.Model` that the round finds.
        base: the `Base`.
        plan: the `Plan`.
        number: of the round, from 1.
        data: the `rrelu_tf.data.Data`.
        rounds: list of the figures of the rounds before.

    Raises:
        UserError: as of `cut`, or if it cannot be written.
        NotEquivalent: the stripped model is not equal to the masked one.
    """
    first = rounds[0]["first"] if rounds else None
    known = rounds[-1]["kept"] if rounds else None
    training = scored_examples.of(data, plan.score, plan.samples, plan.protocol)
    made = cut(model, training, plan, number, first, known)
    before, after = (measurements(profile(m)) for m in (model, made.model))
    small = made.model
    if plan.recalibrate:
        keras.utils.set_random_seed(base.recipe.seed)  # of what drops out
        small = recalibrate(small, data.unaugmented(plan.recalibrate))
    at_once, on_validation = _accuracies(small, data)
    if first is None:
        first = made.first | {
            "found": made.found,
            "accuracy": _accuracies(model, data)[0],
        }
    channels = sum(made.found.values())
    figures = {
        "number": number,
        "first": first,
        "asked": made.asked,
        "channels_before": rounds[-1]["channels"] if rounds else channels,
        "channels": sum(made.left.values()),
        "before": _costs(before),
        "after": _costs(after),
        "accuracy_before": (
            rounds[-1]["accuracy_after"] if rounds else first["accuracy"]
        ),
        "accuracy_at_once": at_once,
        "validation_at_once": on_validation,
        "verified": f"{made.equivalence.relative:.1e}",
        "left": made.left,
        "kept": small.kept,
    }
    described = describe(base, small, plan, data, figures)
    layers = profile(model).compare(profile(small))
    with atomic.path(folder) as temporary:
        temporary.mkdir()
        small.save(temporary / "model.keras")
        _dump(temporary / "manifest.json", described)
        _dump(temporary / _FIGURES, figures)
        text = f"{layers}\n{explain(made.masked, align=plan.align)}"
        (temporary / "layers.txt").write_text(text, encoding="utf-8")


def read(folder):
    """The figures that `write` left in a folder."""
    return json.loads((folder / _FIGURES).read_text())


def describe(base, small, plan, data, figures):
    """The manifest of a stripped model of a round.

    Args:
        base: the `Base`.
        small: the `keras.Model`, of the round's widths.
        plan: the `Plan`.
        data: the `rrelu_tf.data.Data`.
        figures: the round's, as written.
    """
    alive = figures["left"] if plan.score == "slope" else None
    first = figures["first"]["found"]
    if alive is not None:  # of every layer that there was
        alive = {key: alive.get(key, 0) for key in first}
    pruning = {
        "score": plan.score,
        "checkpoint": plan.which,
        "align": plan.align,
        "protocol": plan.protocol,
        "amount": plan.aim,
        "round": figures["number"],
        "rounds": plan.count,
    }
    before = measurements(profile(base.model))
    known = manifest.origin(base.model, before, base.origin, pruning)
    return manifest.manifest(
        base.model,
        figures["kept"],
        data,
        score=plan.score,
        zeta=None,
        amount=plan.aim,
        round=figures["number"],
        rounds=plan.count,
        alive=alive,
        block_filters=paths.known_block_filters(small),
        origin=known | {"alive": alive},
    )


def _accuracies(model, data):
    """Of (test, validation) data; None where none were held out."""
    classify = accuracy.of_model(model)
    return [
        batches and accuracy.evaluate(classify, batches).accuracy
        for batches in (data.test, data.validation)
    ]


def _costs(measured):
    names = ("parameters", "weights", "flops")
    return {name: getattr(measured, name) for name in names}


def _dump(file, values):
    file.write_text(json.dumps(values, indent=1) + "\n")
