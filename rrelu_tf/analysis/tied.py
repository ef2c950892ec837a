"""Channels that go together, and what keeps them."""

import collections

from rich.table import Table

from rrelu_tf.analysis import text
from rrelu_tf.analysis.levels import alive, levels
from rrelu_tf.strip import coupling
from rrelu_tf.strip.graph import trace, walk


class Tied:
    """The groups of a model's channels, and their origins if coupled.

    Attributes:
        groups: dict: key -> ints (channels,), as of `coupling.coupled`.
    """

    def __init__(self, model, align):
        """Finds them; `align` is that of `rrelu_tf.strip`."""
        keys = [key for _, _, key in walk(trace(model))]
        self.groups = coupling.coupled(model, keys)
        self._origins, self._free = [], {}
        if align == "couple":
            self._origins = coupling.origins(model)
            self._free = alive(levels(model))

    def why(self, key, stays, why):
        """A layer's reason, and what its dead channels are tied to.

        Args:
            key: of the layer.
            stays: bool (channels,): those that stay, coupled.
            why: the reason as if no channel was tied.
        """
        free = self._free.get(key)
        if free is None or len(free) != len(stays) or free[stays].all():
            return why
        stuck = stays & ~free
        groups = set(self.groups[key][stuck].tolist())
        held = f"{stuck.sum()} dead ones are tied to {self.holders(groups)}"
        return held if stays.all() else f"{why}; {held}"

    def holders(self, groups):
        """What keeps groups though channels of theirs are dead, as text."""
        texts = [
            origin.text
            for origin in self._origins
            if self._held(origin) & groups
        ]
        return ", ".join(dict.fromkeys(texts)) or "numbers other than 0"

    def _held(self, origin):
        """The groups that an origin keeps."""
        if not origin.maskable:
            return origin.groups
        return set(self.groups[origin.key][self._free[origin.key]].tolist())

    def table(self, found):
        """The layers whose channels meet, as a table.

        Args:
            found: dict: key -> anything with `alive`, bool (channels,), and
                `makes`, whether the channels are its own.
        """
        rows = [row for row in self._joined(found) if self._shown(found, *row)]
        if not rows:
            return "No two layers have channels that must go together.\n"
        made = Table("channels that go together")
        for name in ("channels", "groups", "kept by any"):
            made.add_column(name, justify="right")
        if self._origins:
            made.add_column("tied to")
        for keys, groups in rows:
            numbers = [self.groups[key] for key in keys]
            stay = [self.groups[key][found[key].alive] for key in keys]
            counts = _channels(numbers), len(groups), _channels(stay)
            others = [self._fixed(groups)] if self._origins else []
            made.add_row(", ".join(keys), *map("{:,}".format, counts), *others)
        return text.render(made, width=120) + "\n"

    def _joined(self, found):
        """List of (keys, groups), in the order of the first key."""
        rows = []
        for key in found:
            keys, groups = [key], set(self.groups[key].tolist()) - {0}
            for row in [row for row in rows if row[1] & groups]:
                rows.remove(row)
                keys, groups = row[0] + keys, row[1] | groups
            rows.append((keys, groups))
        order = {key: at for at, key in enumerate(found)}
        rows = [(sorted(keys, key=order.get), groups) for keys, groups in rows]
        return sorted(rows, key=lambda row: order[row[0][0]])

    def _shown(self, found, keys, groups):
        makers = [key for key in keys if found[key].makes]
        if len(makers) > 1:
            return True
        return bool(self._fixed(groups, *makers))

    def _fixed(self, groups, alone=None):
        """What no mask can silence of what the groups are tied to."""
        texts = [
            origin.text
            for origin in self._origins
            if not origin.maskable
            and origin.groups & groups
            and (origin.key is None or origin.key != alone)
        ]
        return ", ".join(dict.fromkeys(texts))


def _channels(numbers):
    """How many channels some layers' groups are, where they are the most."""
    most = collections.Counter()
    for each in numbers:
        most |= collections.Counter(each.tolist())
    del most[0]
    return sum(most.values())
