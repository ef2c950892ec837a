"""What bin/prune wrote: one pruned model, or one for each tolerance."""

import dataclasses
import json
import math
import operator

from rrelu_tf.analysis import report
from rrelu_tf.errors import UserError
from rrelu_tf.reporting.groups import PRUNING

# What reading a file of something else raises.
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)


def read(folder):
    """(what bin/prune reported, its manifest) of the folder that it wrote.

    Raises:
        One of `DAMAGED`, or `UserError`, if they are not whole.
    """
    compared = report.read(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    _check(compared)
    for counts in ("alive", "block_filters"):
        check_counts(manifest.get(counts))
    return compared, manifest


def of_run(path):
    """The same of a run's folder; None for both if it was not pruned.

    Raises:
        UserError: if what is there is not whole.
    """
    folder = path / "pruned"
    if not folder.exists() or _is_under_way(folder):
        return None, None
    try:
        return read(folder)
    except (*DAMAGED, UserError) as error:
        raise UserError(
            "What bin/prune wrote must be whole: report.json and manifest.json "
            f"in pruned/. Received: run={path}"
        ) from error


def at_tolerances(path):
    """What a run came to at each tolerance that bin/prune was told.

    Args:
        path: `pathlib.Path` of the run's folder.

    Returns:
        dict: tolerance in points, ascending -> `report.Report`; None where no
        channel could go. Empty where bin/prune was not told several.

    Raises:
        UserError: if what is there is not whole.
    """
    try:
        found = [read(folder)[0] for folder in sorted(path.glob("pruned-*"))]
        reports = {float(one.notes["tolerance"]): one for one in found}
        asked = {float(t) for one in found for t in one.notes["tolerances"]}
        options = {tuple(map(one.notes.get, PRUNING)) for one in found}
        # What goes at one tolerance may go at a larger one, too.
        gone = [t for t in asked if t > min(reports) and t not in reports]
        if gone or not reports.keys() <= asked or len(options) > 1:
            raise ValueError(f"missing: {gone}; pruned by {options}")
    except (*DAMAGED, UserError) as error:
        raise UserError(
            "What bin/prune wrote at several tolerances must be whole and of "
            "one score; the same bin/prune command writes it again. "
            f"Received: run={path}"
        ) from error
    return {tolerance: reports.get(tolerance) for tolerance in sorted(asked)}


def check_counts(counts):
    """Raises unless it is None, or a dict of whole numbers of at least 0."""
    if counts is not None and any(
        operator.index(n) < 0 for n in counts.values()
    ):
        raise ValueError(f"below 0: {counts}")


def _is_under_way(folder):
    """Whether the folder is one of rounds, of which some are to come."""
    begun = (folder / "rounds.json").is_file()
    return begun and not (folder / "report.md").is_file()


def _check(compared):
    """Raises `ValueError` or `TypeError` for figures that are no numbers."""
    sides = (compared.before, compared.after)
    figures = [v for s in sides for v in dataclasses.astuple(s)]
    # Pruning in rounds has no zeta.
    for figure in (compared.notes["zeta"], *figures):
        if figure is not None and not math.isfinite(figure):
            raise ValueError(f"not finite: {figure}")
    for side in sides:
        if side.accuracy is not None:
            share(side.accuracy)


def share(value):
    """A float in [0, 1]; raises `ValueError` for others, NaN among them."""
    if not 0 <= float(value) <= 1:
        raise ValueError(f"not from 0 to 1: {value}")
    return float(value)
