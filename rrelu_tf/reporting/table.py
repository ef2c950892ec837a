"""Runs and recipes as tables of text, and those as Markdown."""

import dataclasses
import html

from rrelu_tf.reporting.groups import SHOWN

UNKNOWN = "-"
# Flags that have a column of their own, or show in the columns of pruning.
_IN_COLUMNS = ("epochs", "pruned")
# Heading of a saving -> the field of `Measurements` that it is of.
_COSTS = {
    "parameters": "parameters",
    "conv and linear weights": "weights",
    "FLOPs per image": "flops",
    "CPU time per batch": "cpu_ms",
}
_EXACT = {k: v for k, v in _COSTS.items() if v != "cpu_ms"}
# The same for the authors' way of counting: name in `Result.convention`.
_CONVENTION = {
    "memory saved (seed convention)": "memory",
    "FLOPs saved (seed convention)": "flops",
}
_RECIPES = "Recipes"
_RECIPE_WORDS = ("recipe", "flags", "seeds")
# How the Markdown of a report begins, which tells it from other files.
START = f"## {_RECIPES}\n\n| {' | '.join(_RECIPE_WORDS)} |"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: one line.
        columns: tuple of headings.
        words: int; so many columns on the left are words, the others numbers.
        rows: list of tuples of text, as long as `columns`.
        note: one paragraph that explains it.
    """

    title: str
    columns: tuple
    words: int
    rows: list
    note: str


def of_recipes(groups):
    """Mean and spread over the seeds, a row a recipe.

    Args:
        groups: list of `Group`.

    Returns:
        A `Table`.
    """
    columns = (
        *_RECIPE_WORDS,
        "epochs",
        "test accuracy",
        "zeta",
        "pruned: test accuracy",
        *(f"{heading} saved" for heading in _COSTS),
        *_CONVENTION,
    )
    return Table(
        title=_RECIPES,
        columns=columns,
        words=len(_RECIPE_WORDS),
        rows=[_recipe_row(group) for group in groups],
        note=(
            "Mean ± sample standard deviation over the seeds; a single seed "
            "has no deviation. Test accuracy is the last epoch's. Savings are "
            "exact, of the stripped model against the dense one; a seed that "
            "was not pruned though others were counts as one that could not "
            "be: nothing saved, its own accuracy. The seed convention is how "
            "the RReLU authors' scripts count, for their image sizes. Flags "
            "are those in which recipes of the same data set and architecture "
            "differ. A dash is what was not measured or is not defined."
        ),
    )


def of_tolerances(groups):
    """What each recipe saves at each tolerance; None if none has several.

    Args:
        groups: list of `Group`.

    Returns:
        A `Table`, or None.
    """
    rows = [
        (tolerance, group.at(tolerance))
        for group in groups
        for tolerance in group.tolerances
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: (_peers(row[1], groups), row[0]))
    return Table(
        title="Savings at each tolerance",
        columns=(
            *("recipe", "flags", "tolerance", "pruned", "zeta"),
            *("test accuracy", "points lost"),
            *(f"{heading} saved" for heading in _EXACT),
        ),
        words=2,
        rows=[_tolerance_row(*row) for row in rows],
        note=(
            "Mean ± sample standard deviation over the seeds. The tolerance is "
            "the validation accuracy that pruning was allowed to cost, in "
            "points; points lost are what it cost on the test set. A seed of "
            "which no channel could go counts as nothing saved and nothing "
            "lost. Methods compare at equal test accuracy: see the curves."
        ),
    )


def of_runs(results):
    """Every run, before => after pruning.

    Args:
        results: list of `Result`.

    Returns:
        A `Table`.
    """
    words = ("run", "data set", "architecture", "activation")
    columns = (
        *words,
        "seed",
        "epochs",
        "test accuracy",
        "zeta",
        "pruned: test accuracy",
        *_COSTS,
        *_CONVENTION,
    )
    return Table(
        title="Runs",
        columns=columns,
        words=len(words),
        rows=[_run_row(result) for result in results],
        note=(
            "Test accuracy as recorded: the last epoch's, and after pruning "
            "with the change to the checkpoint that was pruned, in points. "
            "Costs are those of the dense model => the stripped one, of a run "
            "that went on from a stripped model, too."
        ),
    )


def markdown(tables):
    """Tables as GitHub's Markdown, each under its title."""
    return "\n".join(_markdown(table) for table in tables)


def _recipe_row(group):
    recipe = group.first.recipe
    accuracy = group.spread(_accuracy)
    after = group.spread(_pruned_accuracy)
    return (
        " ".join(recipe[name] for name in SHOWN),
        _flags(group),
        ", ".join(map(_known, group.seeds)) + _not_pruned(group),
        _known(group.first.epochs),
        _with_spread(*accuracy, ".2f", " %"),
        _with_spread(*group.spread(_zeta, whole=False), ".4g"),
        _with_spread(*after, ".2f", " %"),
        *(
            _with_spread(*group.spread(_saving(field)), ".2f", " %")
            for field in _COSTS.values()
        ),
        *(
            _with_spread(*group.spread(_convention(name)), ".2f", " %")
            for name in _CONVENTION.values()
        ),
    )


def _peers(group, groups):
    """Where the first group of the same data set and architecture stands."""
    names = ("dataset", "arch")
    ours = [group.first.recipe[name] for name in names]
    return next(
        place
        for place, other in enumerate(groups)
        if [other.first.recipe[name] for name in names] == ours
    )


def _tolerance_row(tolerance, group):
    runs = len(group.results)
    return (
        " ".join(group.first.recipe[name] for name in SHOWN),
        _flags(group),
        f"{tolerance:g}",
        f"{runs - group.whole} of {runs}",
        _with_spread(*group.spread(_zeta, whole=False), ".4g"),
        _with_spread(*group.spread(_pruned_accuracy), ".2f", " %"),
        _with_spread(*group.spread(_points_lost), ".2f"),
        *(
            _with_spread(*group.spread(_saving(field)), ".2f", " %")
            for field in _EXACT.values()
        ),
    )


def _points_lost(result):
    """Of the test accuracy, to pruning."""
    if result.pruned is None:
        return 0.0 if result.whole else None
    sides = (result.pruned.before.accuracy, result.pruned.after.accuracy)
    return None if None in sides else 100 * (sides[0] - sides[1])


def _not_pruned(group):
    if not group.whole:
        return ""
    return f" ({group.whole} of {len(group.results)} could not be pruned)"


def _run_row(result):
    savings = (_convention(name)(result) for name in _CONVENTION.values())
    zeta = _zeta(result)
    return (
        result.label,
        *(result.recipe[name] for name in SHOWN),
        _known(result.recipe["seed"]),
        _known(result.epochs),
        _with_spread(_accuracy(result), None, ".2f", " %"),
        UNKNOWN if zeta is None else f"{zeta:.4g}",
        _accuracy_change(result),
        *(_cost_change(result, field) for field in _COSTS.values()),
        *(UNKNOWN if s is None else f"{s:.2f} %" for s in savings),
    )


def _known(value):
    return UNKNOWN if value is None else str(value)


def _flags(group):
    flags = [
        f"{name}={value}"
        for name, value in group.flags.items()
        if name not in _IN_COLUMNS
    ]
    return ", ".join(flags) or UNKNOWN


def _accuracy(result):
    return None if result.accuracy is None else 100 * result.accuracy


def _with_spread(mean, deviation, form, unit=""):
    if mean is None:
        return UNKNOWN
    spread = "" if deviation is None else f" ± {deviation:{form}}"
    return f"{mean:{form}}{spread}{unit}"


def _zeta(result):
    return result.pruned and result.pruned.notes["zeta"]


def _pruned_accuracy(result):
    if result.pruned is None and not result.whole:
        return None
    accuracy = result.final_accuracy
    return None if accuracy is None else 100 * accuracy


def _saving(field):
    def percent(result):
        share = result.saving(field)
        return None if share is None else 100 * share

    return percent


def _convention(name):
    def percent(result):
        if result.whole and result.is_dense:
            return 0.0
        return result.convention and result.convention[name]

    return percent


def _accuracy_change(result):
    after = _pruned_accuracy(result)
    if after is None:
        return UNKNOWN
    before = result.pruned.before.accuracy
    change = "" if before is None else f" ({after - 100 * before:+.2f})"
    return f"{after:.2f} %{change}"


def _cost_change(result, field):
    share = result.saving(field)
    if share is None:
        return UNKNOWN
    sides = (result.before, result.after)
    unit, form = (" ms", ",.2f") if field == "cpu_ms" else ("", ",")
    before, after = (f"{getattr(side, field):{form}}{unit}" for side in sides)
    return f"{before} => {after} ({0.0 - 100 * share:+.2f} %)"


def _markdown(table):
    numbers = len(table.columns) - table.words
    rule = ["---"] * table.words + ["---:"] * numbers
    rows = [table.columns, rule, *table.rows]
    lines = "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)
    return f"## {table.title}\n\n{lines}\n\n{table.note}\n"


def _cell(text):
    """One line that neither ends the cell nor is markup."""
    plain = html.escape(" ".join(text.split()), quote=False)
    plain = plain.replace("=&gt;", "=>")
    for mark in "\\|*_`[]":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
