"""Channels that go together, and the order in which they go."""

import math

import numpy as np

REDUCTIONS = ("sum", "mean", "max")
_ROUNDING = 1e-9  # 0.29 * 100 is 29, whatever its last binary digits say


class Groups:
    """The scored channels, in groups that have one score and one mask.

    Attributes:
        keys: list of the scores' keys.
        sizes: int array (keys,), channels of each.
        of_key: per key, int array (channels,): each channel's group. Groups
            are numbered by their first channel, in the order of the keys.
        scores: float array (groups,).
    """

    def __init__(self, scores, labels=None, reduce="sum"):
        """Groups channels by label.

        Args:
            scores: dict: key -> float array (channels,).
            labels: dict: key -> int array (channels,); equal numbers, also
                under different keys, go together, but for 0, which stands
                alone. None: each channel stands alone.
            reduce: "sum", "mean" or "max" of the members' scores.
        """
        self.keys = list(scores)
        self.sizes = np.array([len(scores[key]) for key in self.keys], int)
        values = np.concatenate([np.empty(0, "float32"), *scores.values()])
        if labels is None:
            group = np.arange(len(values))
        else:
            group = _by_appearance([labels[key] for key in self.keys])
        self.of_key = np.split(group, np.cumsum(self.sizes))[:-1]
        # In the scores' own precision, that a threshold be the same for both.
        self.scores = _reduced(values, group, reduce).astype(values.dtype)
        self._worst_first = np.argsort(self.scores, kind="stable")
        self._rank = np.argsort(self._worst_first)

    def keep(self, gone, round_to=1):
        """The masks that leave these groups out.

        Args:
            gone: bool array (groups,).
            round_to: the number of channels that each key keeps is rounded up
                to a multiple of this, or to all, by the best that would go.

        Returns:
            dict: key -> bool array (channels,), True = keep.
        """
        gone = gone.copy()
        # A group that is put back for one key may unround another.
        while round_to > 1 and self._round_up(gone, round_to):
            pass
        masks = (~gone[group] for group in self.of_key)
        return dict(zip(self.keys, masks, strict=True))

    def _round_up(self, gone, round_to):
        """Puts groups back; whether there were any."""
        changed = False
        for group in self.of_key:
            kept = int((~gone[group]).sum())
            wanted = min(math.ceil(kept / round_to) * round_to, len(group))
            candidates = np.unique(group[gone[group]])
            best_first = candidates[np.argsort(-self._rank[candidates])]
            for back in best_first:
                if kept >= wanted:
                    break
                gone[back] = False
                kept += int((group == back).sum())
                changed = True
        return changed

    def removable(self, min_fraction, fixed=()):
        """The groups that may go, lowest score first; `fixed` ones may not.

        A group is passed over if some key would be left with less than
        `min_fraction` of its channels, rounded up, or with none; so others go
        in its place.

        Returns:
            List of groups. Equal scores: the first channel's goes first.
        """
        floors = np.ceil(self.sizes * min_fraction - _ROUNDING).astype(int)
        spare = self.sizes - np.maximum(floors, 1)
        owners = [[] for _ in self.scores]  # keys of each group's channels
        for number, group in enumerate(self.of_key):
            for member in group:
                owners[member].append(number)
        found = []
        fixed = set(np.flatnonzero(fixed).tolist())
        for group in self._worst_first:
            if int(group) in fixed:
                continue
            np.subtract.at(spare, owners[group], 1)
            if (spare[owners[group]] < 0).any():
                np.add.at(spare, owners[group], 1)
            else:
                found.append(int(group))
        return found

    def blocks(self, scope):
        """int array (groups,): which groups are compared with each other.

        All of them in scope "global"; in scope "layer" those of one key, and
        of the keys that groups tie to it. Blocks are numbered by their first
        key.
        """
        block = np.zeros(len(self.scores), int)
        if scope == "global":
            return block
        block[:] = len(self.keys)
        keys = np.arange(len(self.keys))
        before = None
        while not np.array_equal(before, keys):
            before = keys.copy()
            for number, group in enumerate(self.of_key):
                keys[number] = block[group].min(initial=keys[number])
                block[group] = keys[number]
        return block


class Order:
    """The groups that may go, those first that go first.

    Attributes:
        groups: the `Groups`.
        sequence: int array of groups. In scope "layer" all blocks lose the
            same share of their groups as one goes along it.
        shares: float array like `sequence`: with this group, what share of
            its block's groups is gone.
        blocks: list of (first key, groups that may go, groups), per block.
        fixed: bool array (groups,): those that were not to be ordered.
        min_fraction: as given.
        round_to: as given.
    """

    def __init__(self, groups, *, scope, min_fraction, round_to, fixed=None):
        """Orders groups; the arguments are those of `rrelu_tf.select`.

        Groups that are `fixed`, bool (groups,), stay, and count for nothing.
        """
        self.groups = groups
        self.min_fraction = min_fraction
        self.round_to = round_to
        self.fixed = np.zeros(len(groups.scores), bool)
        if fixed is not None:
            self.fixed |= fixed
        block = groups.blocks(scope)
        totals = np.bincount(block[~self.fixed])
        lost = np.zeros_like(totals)
        sequence = groups.removable(min_fraction, self.fixed)
        sequence = np.array(sequence, int)
        self.shares = np.zeros(len(sequence))
        for at, group in enumerate(sequence):
            lost[block[group]] += 1
            self.shares[at] = lost[block[group]] / totals[block[group]]
        order = np.lexsort((block[sequence], self.shares))
        self.sequence, self.shares = sequence[order], self.shares[order]
        self.blocks = [
            (groups.keys[number], int(lost[number]), int(total))
            for number, total in enumerate(totals)
            if total
        ]

    def up_to(self, sparsity):
        """How many groups go if each block loses this share, rounded down."""
        return int((self.shares <= sparsity + _ROUNDING).sum())

    def short(self, sparsity):
        """The first of `blocks` that cannot lose this share, or None."""
        for block in self.blocks:
            _, most, total = block
            if math.floor(sparsity * total + _ROUNDING) > most:
                return block
        return None

    def keep(self, number):
        """The masks, dict key -> bool array, once `number` groups are gone."""
        gone = np.zeros(len(self.groups.scores), bool)
        gone[self.sequence[:number]] = True
        return self.groups.keep(gone, self.round_to)

    def nothing(self):
        """Why no channel can go, as text; None if any can."""
        if not len(self.sequence):
            return (
                f"with min_fraction={self.min_fraction}, and one channel at "
                "the least, kept of each layer none can go"
            )
        most = self.keep(len(self.sequence))
        if all(stays.all() for stays in most.values()):
            return f"round_to={self.round_to} puts all that can go back"
        return None


def _by_appearance(labels):
    """Labels as numbers from 0, in the order in which they come first."""
    labels = np.concatenate([np.empty(0, int), *labels])
    labels[labels == 0] = -1 - np.flatnonzero(labels == 0)
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group]


def _reduced(values, group, reduce):
    if reduce == "max":
        largest = np.full(group.max(initial=-1) + 1, -np.inf)
        np.maximum.at(largest, group, values)
        return largest
    sums = np.bincount(group, weights=values)
    return sums / np.bincount(group) if reduce == "mean" else sums
