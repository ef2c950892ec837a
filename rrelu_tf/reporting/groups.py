"""Runs of one recipe that differ in the seed alone."""

import dataclasses
import json
import statistics

# What a table always shows of a recipe, beside the seed.
SHOWN = ("dataset", "arch", "activation")
# How bin/prune was told to work, and what its trials do not share.
_PRUNING = ("checkpoint", "align", "score")
# What leaves the distribution of results as it is.
_NOT_OF_A_GROUP = ("seed", "monitor_zeta", "deterministic")


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs of the same recipe on the same data, pruned alike.

    Attributes:
        results: tuple of `Result`, by seed.
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

    def spread(self, value):
        """Mean and sample standard deviation over the runs.

        Args:
            value: function from a `Result` to a number, or None if unknown.

        Returns:
            (mean, deviation); the deviation is None for a single run, and
            both are where any run's value is unknown.
        """
        values = [value(result) for result in self.results]
        if None in values:
            return None, None
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return statistics.fmean(values), deviation


def group(results):
    """Groups runs that differ in the seed alone.

    Args:
        results: list of `Result`.

    Returns:
        List of `Group`, in the order in which their first runs are given.
    """
    members = {}
    for result in results:
        key = (json.dumps(_settings(result)), result.data)
        members.setdefault(key, []).append(result)
    settings = [json.loads(key) for key, _ in members]
    return [
        Group(
            results=tuple(sorted(runs, key=lambda run: run.recipe["seed"])),
            flags=_differing(one, settings),
        )
        for one, runs in zip(settings, members.values(), strict=True)
    ]


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
    """What a group's runs have in common: flags, and how they were pruned."""
    settings = {
        name: value
        for name, value in result.recipe.items()
        if name not in _NOT_OF_A_GROUP
    }
    settings["pruned"] = result.pruned is not None
    notes = result.pruned.notes if result.pruned else {}
    return settings | {
        f"pruned_{name}": notes[name] for name in _PRUNING if name in notes
    }
