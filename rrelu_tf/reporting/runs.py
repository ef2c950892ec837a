"""What the folders of finished runs, and of pruned models, hold."""

import dataclasses
import json
import pathlib

from rrelu_tf.analysis.seed_convention import convention_of_model
from rrelu_tf.errors import UserError
from rrelu_tf.reporting import pruned
from rrelu_tf.reporting.result import Result
from rrelu_tf.training.recipe import Recipe
from rrelu_tf.training.run_folder import Run

_UNKNOWN = "-"


def collect(folders):
    """Reads runs and pruned models; one that is given twice is read once.

    Args:
        folders: paths of run folders of bin/train, pruned or not, and of
            folders that bin/prune wrote, of models without a run.

    Returns:
        List of `Result`, in the order given.

    Raises:
        UserError: if there are none, or one is neither, is unfinished, or has
            a damaged report.
    """
    found = {pathlib.Path(folder).resolve(): folder for folder in folders}
    if not found:
        raise UserError("A report needs at least one run. Received: runs=none")
    paths = [pathlib.Path(folder) for folder in found.values()]
    labels = _labels(list(found))
    return [_read(*pair) for pair in zip(paths, labels, strict=True)]


def _read(path, label):
    names = ("run.json", "manifest.json")
    is_run, is_pruned = ((path / name).exists() for name in names)
    read = _read_pruned if is_pruned and not is_run else _read_run
    return read(path, label)


def _read_run(path, label):
    run = Run.open(path)
    if not run.is_finished:
        raise UserError(
            "A run must be finished to be reported: the same bin/train command "
            f"goes on with it. Received: run={path}"
        )
    try:
        measured = json.loads((path / "report.json").read_text())
        epochs = int(measured["last"]["epoch"])
        accuracy = pruned.share(measured["last"]["test_accuracy"])
        data, machine = str(run.info["data"]), dict(run.info["machine"])
        classes = int(run.info["num_classes"])
        *_, channels = map(int, run.info["image_shape"])
        origin = _origin(run)
        pruned.check_counts(measured["last"].get("block_filters"))
    except pruned.DAMAGED as error:
        raise UserError(
            "A finished run must have a whole run.json and report.json. "
            f"Received: run={path}"
        ) from error
    compared, manifest = pruned.of_run(path)
    known = manifest or (origin or {})
    blocks = (manifest or measured["last"]).get("block_filters")
    result = Result(
        path=path,
        label=label,
        recipe=run.recipe.to_dict() | {"arch": run.network},
        data=data,
        epochs=epochs,
        accuracy=accuracy,
        machine=machine,
        pruned=compared,
        convention=None,
        origin=origin,
        block_filters=blocks or None,
        curve=pruned.at_tolerances(path),
    )
    return _with_convention(result, known.get("alive"), channels, classes)


def _read_pruned(path, label):
    """A model that bin/prune pruned, of which there is no run here."""
    try:
        compared, manifest = pruned.read(path)
        known = dict(manifest.get("origin", {}))
        network = str(known.get("network", manifest["source"]))
        pruned.check_counts(known.get("dense"))
        *_, channels = map(int, manifest["preprocessing"]["image_shape"])
        classes = len(manifest["class_names"])
        data = str(compared.notes["data"])
        recipe = {
            "dataset": str(manifest.get("dataset", data.partition(" ")[0])),
            "arch": network,
            "activation": " ".join(manifest.get("activations", ())) or _UNKNOWN,
            "seed": None,
            "start": str(path),
        }
    except (*pruned.DAMAGED, UserError) as error:
        raise UserError(
            "What bin/prune wrote must be whole: report.json and manifest.json."
            f" Received: run={path}"
        ) from error
    result = Result(
        path=path,
        label=label,
        recipe=recipe,
        data=data,
        epochs=None,
        accuracy=compared.before.accuracy,
        machine={},
        pruned=compared,
        convention=None,
        origin={"network": network, "dense": known.get("dense")},
        block_filters=manifest.get("block_filters") or None,
    )
    return _with_convention(result, manifest.get("alive"), channels, classes)


def _origin(run):
    """The run's origin, checked; raises as reading something else does."""
    if run.origin is None:
        return None
    for counts in ("dense", "costs", "alive"):
        pruned.check_counts(run.origin.get(counts))
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


def _with_convention(result, alive, channels, classes):
    """The result with the authors' counting of its slopes, if they count it."""
    found = convention_of_model(
        result.recipe["arch"],
        None if alive is None else [*alive.values()],
        result.before.weights,
        num_classes=classes,
        channels=channels,
    )
    return dataclasses.replace(result, convention=found)


def _labels(paths):
    """The shortest ends of paths that tell all of them apart."""
    for depth in range(1, max(len(path.parts) for path in paths)):
        labels = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [str(path) for path in paths]
