"""What pruning in rounds leaves at the end: model, manifest, report, plots."""

import json
import pathlib
import tempfile

from rrelu_tf import atomic
from rrelu_tf.analysis import latency, plots, report
from rrelu_tf.analysis.profile import profile
from rrelu_tf.models import keras_file
from rrelu_tf.rounds import stripping

_BATCH = 32  # images in the batch whose latency is measured


def write(path, base, small, plan, data, rounds):
    """Writes the final files beside the rounds', the report as the last.

    Args:
        path: of the folder.
        base: the `Base`.
        small: the `keras.Model` that the last round left.
        plan: the `Plan`.
        data: the `rrelu_tf.data.Data`.
        rounds: list of the rounds' figures.

    Returns:
        The `analysis.report.Report`.

    Raises:
        UserError: if they cannot be written.
    """
    last = rounds[-1]
    (path / "plots").mkdir(exist_ok=True)
    alive = {k: last["left"].get(k, 0) for k in last["first"]["found"]}
    plots.alive_along_depth(
        alive, last["first"]["found"], path / "plots" / "alive.png"
    )
    layers = profile(base.model).compare(profile(small))
    atomic.write_text(path / "layers.txt", layers)
    described = stripping.describe(base, small, plan, data, last)
    keras_file.save(small, path / "model.keras")
    text = json.dumps(described, indent=1) + "\n"
    atomic.write_text(path / "manifest.json", text)
    table = _compare(base, small, plan, data, rounds, path)
    table.write(path)
    return table


def _compare(base, small, plan, data, rounds, path):
    """The first net's figures and the last one's, and those of the rounds."""
    images = next(iter(data.test.unbatch().batch(_BATCH)))[0]
    times = latency.compare(base.model, small, images)
    first, last = rounds[0]["first"], rounds[-1]
    with tempfile.TemporaryDirectory() as folder:
        dense = pathlib.Path(folder, "dense.keras")
        base.model.save(dense)
        before = report.measurements(
            profile(base.model),
            accuracy=first["accuracy"],
            latency=times.before,
            file=dense,
        )
    after = report.measurements(
        profile(small),
        accuracy=last["accuracy_after"],
        latency=times.after,
        file=path / "model.keras",
    )
    worst = max(float(one["verified"]) for one in rounds)
    gone = first["channels"] - last["channels"]
    notes = {
        "zeta": None,
        "score": plan.score,
        "checkpoint": plan.which,
        "retrained_checkpoint": plan.goes_on,
        "align": plan.align,
        "protocol": plan.protocol,
        "amount": plan.aim,
        "rounds": plan.count,
        "channels_removed": f"{gone} of {first['channels']}",
        "verified": (
            "each round's stripped net equals its masked one within "
            f"{worst:.1e} of the largest output"
        ),
        "latency": f"batch of {len(images)}, medians of alternating calls",
        "data": data.description,
        **base.notes,
    }
    return report.Report(
        title=(
            f"{base.model.name} on {data.name}, {plan.aim} by {plan.score}, "
            f"{plan.count} round{'s' * (plan.count > 1)}"
        ),
        before=before,
        after=after,
        notes=notes,
        rounds=[_plain(one) for one in rounds],
    )


def _plain(figures):
    """A round's figures, without the lists of channels."""
    long = ("first", "left", "kept")
    return {name: x for name, x in figures.items() if name not in long}
