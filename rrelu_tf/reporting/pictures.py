"""The figures of a report: those that the runs hold, and some over all."""

import dataclasses
import pathlib
import tempfile

from rrelu_tf.analysis import paper_plots, training_curves
from rrelu_tf.errors import UserError
from rrelu_tf.reporting.groups import SHOWN
from rrelu_tf.training.recipe import Recipe

_CURVES = "Training curves"
# Kind -> where a run may have it, first come, first shown.
_KINDS = {
    _CURVES: ("plots/training_curves.png",),
    "Slopes": ("pruned/plots/slopes.png", "plots/slopes.png"),
    "BN scales": ("pruned/plots/gammas.png", "plots/gammas.png"),
    "Channels alive": ("pruned/plots/alive.png", "plots/alive.png"),
    "Validation accuracy against zeta": (
        "pruned/plots/accuracy_against_zeta.png",
        "plots/accuracy_against_zeta.png",
    ),
}
# What a PNG file begins and ends with (its specification, 5.2 and 11.2.5).
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"


@dataclasses.dataclass(frozen=True)
class Picture:
    """One figure.

    Attributes:
        caption: one line below it.
        png: bytes of the file.
    """

    caption: str
    png: bytes


def of_runs(results):
    """The figures that the runs' folders hold, side by side.

    Curves that a run did not draw are drawn from its `metrics.csv`.

    Args:
        results: list of `Result`.

    Returns:
        dict: kind -> list of `Picture`, without kinds that no run has.

    Raises:
        UserError: if a file cannot be read, or is no whole PNG.
    """
    found = {kind: [] for kind in _KINDS}
    for result in results:
        for kind, names in _KINDS.items():
            files = [result.path / name for name in names]
            file = next((file for file in files if file.is_file()), None)
            if file is not None:
                png = _bytes(file)
            elif kind == _CURVES and result.is_run:
                table = result.path / "metrics.csv"
                png = _drawn(training_curves.training_curves, table)
            else:
                continue
            found[kind].append(Picture(result.label, png))
    return {kind: pictures for kind, pictures in found.items() if pictures}


def of_paths(results):
    """How long the paths through residual nets are: all runs on one plot.

    A plot for each data set; of pruned runs the nets that are left.

    Args:
        results: list of `Result`.

    Returns:
        List of `Picture`, empty where no run is known to have residual blocks.
    """
    nets = {}
    for result in results:
        if result.block_filters is not None:
            here = nets.setdefault((result.recipe["dataset"], result.data), {})
            here[result.label] = result.block_filters
    draw = paper_plots.path_length_histogram
    pictures = []
    for (name, _), filters in nets.items():
        title = f"{name}: active path lengths"
        pictures.append(Picture(title, _drawn(draw, filters, title=title)))
    return pictures


def of_groups(groups):
    """Accuracy against savings: a plot for each data set and quantity.

    Dense runs stand at no saving, with the accuracy of their last epoch; runs
    that were pruned at several tolerances make a curve, which begins with the
    trained ones; runs of which the saving is not known are left out. Data sets
    on which nothing was saved have no plot.

    Args:
        groups: list of `Group`.

    Returns:
        List of `Picture`.
    """
    pictures = []
    for data in dict.fromkeys(group.first.data for group in groups):
        here = [group for group in groups if group.first.data == data]
        if not any(_saves(run) for group in here for run in group.results):
            continue
        name = here[0].first.recipe["dataset"]
        for field, saved in (("weights", "weights"), ("flops", "FLOPs")):
            methods = {
                label: _curve(group, field) or _points(group, field)
                for label, group in zip(labels(here), here, strict=True)
            }
            methods = {k: points for k, points in methods.items() if points}
            if methods:
                title = f"{name}: accuracy against {saved} saved"
                draw = paper_plots.accuracy_against_savings
                png = _drawn(draw, methods, saved=saved, title=title)
                pictures.append(Picture(title, png))
    return pictures


def _saves(result):
    """Whether a run has a smaller net, and it is known how much smaller."""
    if any(result.curve.values()):
        return True
    known = [result.saving(field) for field in ("weights", "flops")]
    return not result.is_dense and known != [None, None]


def _curve(group, field):
    """[(saving, accuracy) of each run] as trained, and at each tolerance."""
    if not group.tolerances:
        return []
    trained, *pruned = (
        _points(group.at(tolerance), field)
        for tolerance in (None, *group.tolerances)
    )
    # As many runs at each point: those of which something is unknown have none.
    return [p for p in (trained, *pruned) if len(p) == len(group.results)]


def _points(group, field):
    """[(saving, accuracy)] of the runs of which both are known."""
    points = []
    for result in group.results:
        saving = 0.0 if result.is_dense else result.saving(field)
        if None not in (saving, result.final_accuracy):
            points.append((saving, result.final_accuracy))
    return points


def labels(groups):
    """What tells groups on one plot apart: the recipe where it differs.

    Args:
        groups: list of `Group`.

    Flags that have their default are left out.

    Returns:
        List of as many strings; each names the activation, at least.
    """
    recipes = [group.first.recipe for group in groups]
    shown = [
        name
        for name in SHOWN
        if name == "activation" or len({recipe[name] for recipe in recipes}) > 1
    ]
    found = []
    for group, recipe in zip(groups, recipes, strict=True):
        flags = [
            f"{name}={value}"
            for name, value in group.flags.items()
            if name != "pruned"
            and value != getattr(Recipe, name, None)
            and any(g.flags.get(name, value) != value for g in groups)
        ]
        flags += [] if group.flags.get("pruned", True) else ["not pruned"]
        found.append(", ".join([" ".join(recipe[n] for n in shown), *flags]))
    return found


def _drawn(draw, content, **options):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "figure.png")
        draw(content, file, **options)
        return file.read_bytes()


def _bytes(file):
    try:
        png = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"A run's plots must be readable, but: {error.strerror}. "
            f"Received: plot={file}"
        ) from error
    if not (png.startswith(_SIGNATURE) and png.endswith(_END)):
        raise UserError(
            "A run's plots must be whole PNG files; bin/train and bin/prune "
            f"draw them. Received: plot={file}"
        )
    return png
