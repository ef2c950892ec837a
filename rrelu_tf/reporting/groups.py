"""Runs of one recipe that differ in the seed alone."""

import dataclasses
import json
import re
import statistics

# How bin/prune was told to work; all its trials of a run share it.
PRUNING = ("checkpoint", "align", "score", "amount", "rounds", "protocol")
# What a table always shows of a recipe, beside the seed.
SHOWN = ("dataset", "arch", "activation")
# What leaves the distribution of results as it is.
_NOT_OF_A_GROUP = ("seed", "monitor_zeta", "deterministic")


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs of the same recipe on the same data, pruned alike.

    Attributes:
        results: tuple of `Result`, by seed; those that were not pruned though
            others of the group were are `whole`.
        flags: dict of the flags in which groups of the same data set and
            architecture differ, besides `SHOWN`; of the pruning, too.
    """

    results: tuple
    flags: dict

    @property
    def first(self):
        """The `Result` of the lowest seed; its recipe is the group's."""
        return self.results[0]

    @property
    def seeds(self):
        """The seeds, ascending."""
        return [result.recipe["seed"] for result in self.results]

    @property
    def whole(self):
        """How many of the runs are `whole`."""
        return sum(result.whole for result in self.results)

    @property
    def tolerances(self):
        """The tolerances, in points, at which its runs were pruned."""
        asked = [run.curve.keys() for run in self.results if run.curve]
        return sorted(set.intersection(*map(set, asked))) if asked else []

    def at(self, tolerance):
        """The group with its runs pruned at a tolerance.

        Args:
            tolerance: one of `tolerances`; runs that could not be pruned at it
                are `whole`. None: all are, as they were trained.
        """
        found = [run.curve.get(tolerance) for run in self.results]
        return dataclasses.replace(
            self,
            results=tuple(
                dataclasses.replace(run, pruned=one, whole=one is None)
                for run, one in zip(self.results, found, strict=True)
            ),
        )

    def spread(self, value, *, whole=True):
        """Mean and sample standard deviation over the runs.

        Args:
            value: function from a `Result` to a number, or None if unknown.
            whole: bool, whether runs that are `whole` count.

        Returns:
            (mean, deviation); the deviation is None for a single run, and
            both are where any run's value is unknown.
        """
        runs = [run for run in self.results if whole or not run.whole]
        values = [value(run) for run in runs]
        if None in values:
            return None, None
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return statistics.fmean(values), deviation


def group(results):
    """Groups runs that differ in the seed alone.

    A run that was not pruned, though other seeds of its recipe were, and all
    of those alike, is one of which nothing could be removed: it belongs to
    them, as a `Result` that is `whole`.

    Args:
        results: list of `Result`.

    Returns:
        List of `Group`, in the order in which their first runs are given.
    """
    members = {}
    for result in results:
        key = (json.dumps(_settings(result)), result.data)
        members.setdefault(key, []).append(result)
    groups = [
        (json.loads(settings) | _pruning(some[0]), some)
        for (settings, _), alike in members.items()
        for starts in _by_start(alike)
        for some in _by_pruning(starts)
    ]
    places = {id(result): place for place, result in enumerate(results)}
    groups.sort(key=lambda one: min(places[id(run)] for run in one[1]))
    settings = [one for one, _ in groups]
    return [
        Group(
            results=_sorted(runs),
            flags=_differing(one, settings),
        )
        for one, runs in groups
    ]


def _sorted(runs):
    """By seed; where some were pruned, those that were not are whole."""
    runs = sorted(runs, key=lambda run: run.recipe["seed"])
    some = any(run.pruned for run in runs)
    return tuple(
        dataclasses.replace(run, whole=True)
        if some and run.pruned is None
        else run
        for run in runs
    )


def _by_start(results):
    """Lists of runs: those that start from their own seed's model, others."""
    starts = {_seed_of_start(result) for result in results}
    if len(starts) < 2:
        return [results]
    lists = {}
    for result in results:
        seed = _seed_of_start(result)
        own = seed == result.recipe["seed"]
        lists.setdefault("own" if own else seed, []).append(result)
    return list(lists.values())


def _seed_of_start(result):
    return ((result.origin or {}).get("flags") or {}).get("seed")


def _by_pruning(results):
    """Lists of runs that were pruned alike, or not pruned at all."""
    lists = {}
    for result in results:
        lists.setdefault(json.dumps(_pruning(result)), []).append(result)
    plain = lists.pop(json.dumps(_NOT_PRUNED), [])
    if len(lists) == 1:
        (alike,) = lists.values()
        seeds = {result.recipe["seed"] for result in alike}
        others = [r for r in plain if r.recipe["seed"] not in seeds]
        alike += others
        plain = [r for r in plain if r.recipe["seed"] in seeds]
    return [some for some in (*lists.values(), plain) if some]


def _differing(one, settings):
    """What tells a group from those it is compared with."""
    peers = [
        other
        for other in settings
        if all(other[name] == one[name] for name in ("dataset", "arch"))
    ]
    return {
        name: value
        for name, value in one.items()
        if name not in SHOWN
        and any(other.get(name, value) != value for other in peers)
    }


def _settings(result):
    """What a group's runs have in common: flags, and those of their start."""
    return _of_flags(result.recipe) | _of_start(result.recipe, result.origin)


def _of_flags(recipe):
    return {k: v for k, v in recipe.items() if k not in _NOT_OF_A_GROUP}


def _of_start(recipe, origin):
    """The start without what follows from the seed, as `start_<name>`."""
    if not recipe["start"]:
        return {"start": "scratch"}
    if "flags" not in (origin or {}):  # its name is all there is
        seed = rf"(seed\W?){recipe['seed']}(?!\d)"
        return {"start": re.sub(seed, r"\1*", recipe["start"])}
    pruning = origin.get("pruning", {})
    flags = _of_flags(origin["flags"]) | pruning
    flags |= _of_start(origin["flags"], origin.get("origin"))
    state = "pruned" if pruning else "trained"
    return {
        "start": f"{state} {origin['network']}",
        **{f"start_{name}": value for name, value in flags.items()},
    }


_NOT_PRUNED = {"pruned": False}


def _pruning(result):
    """How a run was pruned, if it was."""
    found = [one for one in (result.pruned, *result.curve.values()) if one]
    if not found:
        return _NOT_PRUNED
    notes = found[0].notes
    names = [name for name in PRUNING if name in notes]
    return {"pruned": True, **{f"pruned_{n}": notes[n] for n in names}}
