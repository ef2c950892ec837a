"""What the folders of finished runs hold."""

import dataclasses
import json
import math
import operator
import pathlib

from rrelu_tf.analysis import report
from rrelu_tf.errors import UserError
from rrelu_tf.training.recipe import Recipe
from rrelu_tf.training.run_folder import Run

# What reading a file of something else raises.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run came to.

    Attributes:
        path: `pathlib.Path` of the run's folder.
        label: short name, unlike that of every other run reported with it.
        recipe: dict of the flags that decided the run; `arch` is that of the
            model that it started from, if it did.
        data: one line on the data as they really were.
        epochs: int, whole epochs trained.
        accuracy: test accuracy of the last epoch, in [0, 1].
        machine: dict, as `run.json` has it.
        pruned: the `analysis.report.Report` of bin/prune; None without one.
        convention: dict of "memory" and "flops", percent saved as the authors'
            scripts count; None where that is not defined or not known.
        origin: dict, what is known of the model that it started from, as
            `training.origin.describe` has it; None for a run from scratch.
        block_filters: dict, residual block -> filters alive, after pruning;
            None for nets without such blocks, or where it was not recorded.
        whole: bool, whether pruning is taken to have found nothing to remove:
            nothing is saved then, and the accuracy is the run's own.
    """

    path: pathlib.Path
    label: str
    recipe: dict
    data: str
    epochs: int
    accuracy: float
    machine: dict
    pruned: report.Report | None
    convention: dict | None
    origin: dict | None = None
    block_filters: dict | None = None
    whole: bool = False

    @property
    def is_dense(self):
        """Whether nothing was pruned, neither here nor before it started."""
        start = self.origin or {"dense": None, "costs": None}
        known = "dense" in start and start["dense"] == start["costs"]
        return self.pruned is None and known

    @property
    def before(self):
        """`Measurements` of the net before all pruning; empty if unknown."""
        measured = self.pruned.before if self.pruned else report.Measurements()
        dense = (self.origin or {}).get("dense")
        if dense is None or _costs(measured) == dense:
            return measured
        return report.Measurements(**dense)

    @property
    def after(self):
        """`Measurements` of the net that is left; empty if unknown."""
        if self.pruned is not None:
            return self.pruned.after
        return report.Measurements(**(self.origin or {}).get("costs", {}))

    def saving(self, quantity):
        """The share of a quantity that all pruning saved; None if unknown.

        Args:
            quantity: name of a field of `analysis.report.Measurements`.
        """
        if self.is_dense:
            return 0.0 if self.whole else None
        before = getattr(self.before, quantity)
        after = getattr(self.after, quantity)
        if not before or after is None:
            return None
        return 1 - after / before

    @property
    def final_accuracy(self):
        """Test accuracy after pruning, or the run's own; None if unknown."""
        return self.pruned.after.accuracy if self.pruned else self.accuracy


def _costs(measured):
    names = ("parameters", "weights", "flops")
    return {name: getattr(measured, name) for name in names}


def collect(folders):
    """Reads runs; one that is given twice is read once.

    Args:
        folders: paths of run folders of bin/train, pruned or not.

    Returns:
        List of `Result`, in the order given.

    Raises:
        UserError: if there are none, or one is no run, is unfinished, or has a
            damaged report.
    """
    found = {pathlib.Path(folder).resolve(): folder for folder in folders}
    if not found:
        raise UserError("A report needs at least one run. Received: runs=none")
    paths = [pathlib.Path(folder) for folder in found.values()]
    labels = _labels(list(found))
    return [_read(*pair) for pair in zip(paths, labels, strict=True)]


def _read(path, label):
    run = Run.open(path)
    if not run.is_finished:
        raise UserError(
            "A run must be finished to be reported: the same bin/train command "
            f"goes on with it. Received: run={path}"
        )
    try:
        measured = json.loads((path / "report.json").read_text())
        epochs = int(measured["last"]["epoch"])
        accuracy = _share(measured["last"]["test_accuracy"])
        data, machine = str(run.info["data"]), dict(run.info["machine"])
        classes = int(run.info["num_classes"])
        origin = _origin(run)
        _check_counts(measured["last"].get("block_filters"))
    except _DAMAGED as error:
        raise UserError(
            "A finished run must have a whole run.json and report.json. "
            f"Received: run={path}"
        ) from error
    pruned, manifest = _pruned(path)
    known = manifest or (origin or {})
    blocks = (manifest or measured["last"]).get("block_filters")
    return Result(
        path=path,
        label=label,
        recipe=run.recipe.to_dict() | {"arch": run.network},
        data=data,
        epochs=epochs,
        accuracy=accuracy,
        machine=machine,
        pruned=pruned,
        convention=_convention(run.network, known.get("alive"), classes),
        origin=origin,
        block_filters=blocks or None,
    )


def _origin(run):
    """The run's origin, checked; raises as reading something else does."""
    if run.origin is None:
        return None
    for counts in ("dense", "costs", "alive"):
        _check_counts(run.origin.get(counts))
    return _filled(run.origin)


def _filled(origin):
    """An origin whose flags have the fields that are younger than it, too."""
    filled = {**origin, "network": str(origin["network"])}
    if "flags" in origin:
        filled["flags"] = Recipe.from_dict(origin["flags"]).to_dict()
    if "pruning" in origin:
        filled["pruning"] = dict(origin["pruning"])
    if "origin" in origin:
        filled["origin"] = _filled(origin["origin"])
    return filled


def _check_counts(counts):
    """Raises unless it is None, or a dict of whole numbers of at least 0."""
    if counts is not None and any(
        operator.index(n) < 0 for n in counts.values()
    ):
        raise ValueError(f"below 0: {counts}")


def _pruned(path):
    """(what bin/prune reported, its manifest); None for both without them."""
    folder = path / "pruned"
    if not folder.exists():
        return None, None
    try:
        compared = report.read(folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        _check(compared)
        for counts in ("alive", "block_filters"):
            _check_counts(manifest.get(counts))
    except _DAMAGED as error:
        raise UserError(
            "What bin/prune wrote must be whole: report.json and manifest.json "
            f"in pruned/. Received: run={path}"
        ) from error
    return compared, manifest


def _check(compared):
    """Raises `ValueError` or `TypeError` for figures that are no numbers."""
    sides = (compared.before, compared.after)
    figures = [v for s in sides for v in dataclasses.astuple(s)]
    for figure in (compared.notes["zeta"], *figures):
        if figure is not None and not math.isfinite(figure):
            raise ValueError(f"not finite: {figure}")
    float(compared.notes["zeta"])
    for side in sides:
        if side.accuracy is not None:
            _share(side.accuracy)


def _share(value):
    """A float in [0, 1]; raises `ValueError` for others, NaN among them."""
    if not 0 <= float(value) <= 1:
        raise ValueError(f"not from 0 to 1: {value}")
    return float(value)


def _convention(arch, alive, classes):
    if alive is None:
        return None
    from rrelu_tf.analysis.seed_convention import seed_convention

    try:
        return seed_convention(arch, [*alive.values()], num_classes=classes)
    except UserError:  # the authors count a few architectures only
        return None


def _labels(paths):
    """The shortest ends of paths that tell all of them apart."""
    for depth in range(1, max(len(path.parts) for path in paths)):
        labels = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]
