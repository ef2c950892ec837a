"""A run's report: accuracies, slopes alive, time. Test data are read here."""

import json
import statistics
import sys

from rrelu_tf import atomic
from rrelu_tf.analysis import paths
from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints, slopes

ZETAS = (0.0, 0.001, 0.01, 0.05, 0.1, 0.2)


def write(run, model, test, callbacks=(), early_bird=None):
    """Evaluates last and best checkpoint on test; writes report.json and .md.

    Args:
        run: a `Run` whose epochs are done.
        model: its compiled model, whose weights are overwritten.
        test: dict, what `evaluate` is to be given: the test data, which are
            read in this one place.
        callbacks: Keras callbacks for the evaluation.
        early_bird: the run's `pruning.EarlyBird`, or None.

    Returns:
        The report as a dict.

    Raises:
        UserError: if the files cannot be written.
    """
    last = checkpoints.latest(run.checkpoints)
    evaluated = {
        "last": _evaluate(last, last, model, test, callbacks),
        "best": _best(run, last, model, test, callbacks),
    }
    report = {
        **evaluated,
        "parameters": model.count_params(),
        "slopes": sum(len(slope) for slope in slopes.of(model).values()),
        **_times(last.history),
        **run.info,
    }
    if early_bird is not None:
        report["early_bird"] = early_bird.summary()
    text = json.dumps(report, indent=2) + "\n"
    atomic.write_text(run.path / "report.json", text)
    markdown = _markdown(report, run.network)
    atomic.write_text(run.path / "report.md", markdown)
    return report


def _best(run, last, model, test, callbacks):
    if last.best_epoch == last.epoch:
        best = last
    else:
        try:
            best = checkpoints.read(run.checkpoints, last.best_epoch)
        except UserError as error:
            print(f"warning: {error}; not reported", file=sys.stderr)
            return None
    return _evaluate(best, last, model, test, callbacks)


def _evaluate(checkpoint, last, model, test, callbacks):
    checkpoints.restore(checkpoint, model)
    row = last.history[checkpoint.epoch - 1]
    found = model.evaluate(
        **test, verbose=0, return_dict=True, callbacks=list(callbacks)
    )
    values = slopes.of(model)
    return {
        "epoch": checkpoint.epoch,
        "validation_accuracy": row["val_accuracy"],
        "test_accuracy": found["accuracy"],
        "test_loss": found["loss"],
        "slopes_alive": {
            str(zeta): sum(slopes.alive(values, zeta).values())
            for zeta in ZETAS
        },
        "block_filters": paths.known_block_filters(model),
    }


def _times(history):
    return {
        "seconds_per_epoch": statistics.median(r["seconds"] for r in history),
        "cpu_seconds_per_epoch": statistics.median(
            r["cpu_seconds"] for r in history
        ),
    }


def _markdown(report, network):
    flags = report["flags"]
    columns = [name for name in ("last", "best") if report[name]]
    rows = [
        ["", *columns],
        ["---", *["---:" for _ in columns]],
        ["epoch", *(str(report[c]["epoch"]) for c in columns)],
    ]
    for name in ("validation_accuracy", "test_accuracy"):
        cells = (_percent(report[c][name]) for c in columns)
        rows.append([name.replace("_", " "), *cells])
    for zeta in map(str, ZETAS):
        counts = (str(report[c]["slopes_alive"][zeta]) for c in columns)
        rows.append([f"slopes alive at zeta {zeta}", *counts])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    machine = report["machine"]
    devices = ", ".join([f"{machine['cpus']} CPUs", *machine["gpus"]])
    versions = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
    used = "\n".join(f"- {name}: {value}" for name, value in flags.items())
    title = f"{network} with {flags['activation']} on {flags['dataset']}"
    return f"""# {title}

{table}

- parameters: {report["parameters"]:,}, of which slopes: {report["slopes"]:,}
- an epoch, with validation (median): {report["seconds_per_epoch"]:.2f} s,
  {report["cpu_seconds_per_epoch"]:.2f} s of CPU time
{_ticket(report.get("early_bird"))}- data: {report["data"]}
- machine: {machine["system"]}, {devices}
- versions: {versions}

The best epoch is chosen on validation data; test data are read for this
report only.

## Flags

{used}
"""


def _ticket(found):
    """A line about the early-bird ticket, of a run that looks for one."""
    if found is None:
        return ""
    asked = f"{found['score']} at sparsity {found['sparsity']:g}"
    if found["epoch"] is None:
        return f"- early-bird ticket ({asked}): none, {found['rule']} never\n"
    share = found["training_flops_saved"] / found["training_flops"]
    return (
        f"- early-bird ticket ({asked}; {found['rule']}): epoch "
        f"{found['epoch']} of {found['planned_epochs']}, "
        f"{100 * share:.1f} % of the training FLOPs saved, before the ticket's "
        "own training\n"
    )


def _percent(value):
    return "" if value is None else f"{100 * value:.2f} %"
