"""What is known of the model that a run starts from: whose it is, its costs."""

import json
import pathlib

from rrelu_tf.analysis.profile import profile
from rrelu_tf.errors import UserError

_COSTS = ("parameters", "weights", "flops")
_HANDED_ON = ("dense", "alive")


def costs(model):
    """A model's `parameters`, `weights` and `flops`, as `Profile` has them."""
    found = profile(model)
    return dict(
        zip(_COSTS, (found.params, found.weights, found.flops), strict=True)
    )


def of(path):
    """What is known of a model, plain values for JSON.

    Args:
        path: a `.keras` file, or the folder of a run.

    Returns:
        dict with `network`, the architecture's name, or else the file's; and,
        as far as they are known: `flags` of the run that trained it;
        `pruning`, how it was pruned; `dense`, its `costs` before all pruning;
        `alive`, its layers' slopes then; `origin`, the same of what that run
        had started from.
    """
    path = pathlib.Path(path)
    try:
        if path.is_dir():
            return of_run(_run(path))
        if (path.parent / "manifest.json").is_file():
            return _of_pruned(path.parent)
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return {"network": path.stem}
    return {"network": path.stem}


def of_run(run):
    """The same of a `Run`."""
    found = {"network": run.network, "flags": run.recipe.to_dict()}
    if run.origin is not None:
        found["origin"] = run.origin
        found |= {k: run.origin[k] for k in _HANDED_ON if k in run.origin}
    return found


def describe(path, model):
    """What a new run notes of the model that it starts from.

    Args:
        path: where the model comes from, as for `of`.
        model: the `keras.Model` as it will be trained.

    Returns:
        What `of` returns, with the model's own `costs`. Where no pruning went
        before it, those are its costs before all pruning, too.
    """
    found, own = of(path), costs(model)
    if "flags" in found and not {"pruning", "origin"} & set(found):
        found["dense"] = own
    return found | {"costs": own}


def _of_pruned(folder):
    """What the manifest in a folder of bin/prune tells."""
    manifest = json.loads((folder / "manifest.json").read_text())
    if "origin" in manifest:
        return {"network": manifest["source"], **manifest["origin"]}
    # Older manifests leave it to the files around them.
    report = json.loads((folder / "report.json").read_text())
    found = {
        "network": manifest["source"],
        "alive": manifest.get("alive"),
        "dense": {name: report["before"][name] for name in _COSTS},
    }
    if (folder.parent / "run.json").is_file():
        found |= of_run(_run(folder.parent))
    names = ("checkpoint", "align", "score")
    how = {n: report["notes"][n] for n in names if n in report["notes"]}
    return found | {"pruning": how}


def _run(path):
    # It imports this module: a run may have started from another.
    from rrelu_tf.training.run_folder import Run

    return Run.open(path)
