"""What pruning a run leaves behind: model, manifest, report, plots."""

import contextlib
import json
import pathlib
import shutil

from rrelu_tf import atomic
from rrelu_tf.analysis import (
    accuracy,
    explain,
    latency,
    paper_plots,
    paths,
    plots,
    report,
    score_plot,
)
from rrelu_tf.analysis.profile import profile
from rrelu_tf.analysis.seed_convention import convention_of_model
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import manifest
from rrelu_tf.pruning.procedure import Pruned
from rrelu_tf.strip import kept

# What a folder of a pruned model may hold; bin/evaluate's plots can be redrawn.
_WRITTEN = {
    *("model.keras", "manifest.json", "report.json", "report.md"),
    *("layers.txt", "plots", "model_plots"),
}
_BATCH = 32  # images in the batch whose latency is measured


def write(folder, source, pruned: Pruned, data, notes, origin=None):
    """Writes a pruned model's folder, whole or not at all.

    `model.keras`, the small model; `manifest.json`, which channels it kept and
    what serving needs; `report.json` and `report.md`, before => after;
    `layers.txt`, the same layer by layer, and why each lost what it lost;
    `plots/*.png`. What an earlier call wrote there is replaced; a kill in the
    instant of the exchange leaves it beside, as `.<name>.old`. The test set is
    read here, once per model, for the report alone.

    Args:
        folder: path of the folder; its parent exists.
        source: the `keras.Model` that was pruned.
        pruned: the `Pruned` made of it.
        data: the run's `rrelu_tf.data.Data`.
        notes: dict of plain values for the report.
        origin: dict of plain values, where the source comes from, for the
            manifest; None if that is not known.

    Returns:
        The `report.Report`.

    Raises:
        UserError: if the folder cannot be written, or holds anything else.
    """
    folder = check_folder(folder)
    with _set_aside(folder) as set_aside, atomic.path(folder) as temporary:
        (temporary / "plots").mkdir(parents=True)
        pruned.model.save(temporary / "model.keras")
        table = _compare(source, pruned, data, temporary, notes)
        described = _manifest(source, pruned, data, table, origin or {})
        table.notes.update(_seed_convention(described, data))
        table.write(temporary)
        text = json.dumps(described, indent=1) + "\n"
        (temporary / "manifest.json").write_text(text)
        layers = profile(source).compare(profile(pruned.model))
        why = explain(pruned.masked, align=pruned.align)
        text = f"{layers}\n{why}"
        (temporary / "layers.txt").write_text(text, encoding="utf-8")
        _plot(source, pruned, temporary / "plots")
        set_aside()
    return table


def check_folder(folder):
    """The folder's absolute path, if pruning may write there.

    Raises:
        UserError: if it is there, and neither empty nor written by pruning.
    """
    folder = pathlib.Path(folder).resolve()
    if folder.is_dir():
        names = {entry.name for entry in folder.iterdir()}
        ours = {"model.keras", "manifest.json"} <= names <= _WRITTEN
        fine = ours or not names
    else:
        fine = not folder.exists()
    if not fine:
        raise UserError(
            "A pruned model needs a new or empty folder, or one that bin/prune "
            f"wrote. Received: out={folder}"
        )
    return folder


@contextlib.contextmanager
def _set_aside(folder):
    """Yields a function that frees a folder's name; undone by an exception."""
    aside = folder.with_name(f".{folder.name}.old")

    def set_aside():
        if folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)

    try:
        yield set_aside
    except BaseException:
        if aside.is_dir() and not folder.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _compare(source, pruned, data, folder, notes):
    """The table of both models' figures."""
    images = next(iter(data.test.unbatch().batch(_BATCH)))[0]
    times = latency.compare(source, pruned.model, images)
    dense = folder / "dense.keras"
    source.save(dense)
    before, after = (
        report.measurements(
            profile(model),
            accuracy=accuracy.evaluate(
                accuracy.of_model(model), data.test
            ).accuracy,
            latency=time,
            file=file,
        )
        for model, time, file in (
            (source, times.before, dense),
            (pruned.model, times.after, folder / "model.keras"),
        )
    )
    dense.unlink()
    scored = sum(len(values) for values in pruned.scores.values())
    trial, baseline = pruned.choice.chosen, pruned.choice.baseline
    if trial.accuracy is not None:
        validation = f"{baseline.accuracy:.4f} => {trial.accuracy:.4f}"
        notes = {"validation_accuracy": validation, **notes}
    return report.before_after(
        before,
        after,
        title=f"{source.name} on {data.name}, zeta {trial.zeta:.4g}",
        zeta=trial.zeta,
        score=pruned.method,
        channels_removed=f"{trial.dead} of {scored}",
        verified=(
            "stripped equals masked within "
            f"{pruned.equivalence.relative:.1e} of the largest output "
            f"({pruned.equivalence.dtype})"
        ),
        latency=f"batch of {len(images)}, medians of alternating calls",
        data=data.description,
        **notes,
    )


def _manifest(source, pruned, data, table, known):
    """What stayed, what serving needs, and where the model comes from."""
    # The authors' counting is one of slopes.
    alive = _alive(pruned) if pruned.method == "slope" else None
    chosen = ("score", "checkpoint", "align")
    how = {n: table.notes[n] for n in chosen if n in table.notes}
    return manifest.manifest(
        source,
        kept(pruned.model),
        data,
        score=pruned.method,
        zeta=pruned.choice.chosen.zeta,
        alive=alive,
        block_filters=paths.known_block_filters(pruned.masked),
        origin=manifest.origin(source, table.before, known, how)
        | {"alive": alive},
    )


def _seed_convention(described, data):
    """What the authors' scripts print for this net, where they know it."""
    origin, alive = described["origin"], described["alive"]
    found = convention_of_model(
        origin["network"],
        None if alive is None else [*alive.values()],
        origin["dense"]["weights"],
        num_classes=data.num_classes,
        channels=data.image_shape[-1],
    )
    if found is None:
        return {}
    text = "memory -{memory:.2f} %, FLOPs -{flops:.2f} %".format(**found)
    return {"seed_convention": f"{text} (as the authors' scripts count)"}


def _plot(source, pruned, folder):
    """Scores, alive channels along the depth, accuracy if it was measured."""
    zeta = pruned.choice.chosen.zeta
    if pruned.method == "slope":
        plots.slope_histogram(source, folder / "slopes.png", zeta)
    elif pruned.method == "bn":
        paper_plots.gamma_histogram(source, folder / "gammas.png", zeta)
    else:
        score_plot.score_histogram(
            pruned.scores, folder / "scores.png", zeta, method=pruned.method
        )
    total = {key: len(s) for key, s in pruned.scores.items()}
    plots.alive_along_depth(_alive(pruned), total, folder / "alive.png")
    curve = pruned.choice.curve
    if curve[0].accuracy is None:
        return
    channels = sum(total.values())
    plots.accuracy_against_zeta(
        [(trial.zeta, trial.accuracy) for trial in curve],
        zeta,
        folder / "accuracy_against_zeta.png",
        alive=[1 - trial.dead / channels for trial in curve],
    )


def _alive(pruned):
    """layer -> how many of its channels score above zeta."""
    zeta = pruned.choice.chosen.zeta
    return {k: int((s > zeta).sum()) for k, s in pruned.scores.items()}
