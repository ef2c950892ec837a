"""Whether scores say what the loss does when channels go."""

import dataclasses

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.arguments import check_scores
from rrelu_tf.pruning.loss_changes import LossChanges
from rrelu_tf.scoring.arguments import check_like


@dataclasses.dataclass(frozen=True)
class Agreement:
    """What `score_agreement` found.

    Correlations are Spearman's, in [-1, 1], and NaN where fewer than two
    different numbers are compared. Errors are |estimates - changes| / |changes|
    in Euclidean norms over the groups.

    Attributes:
        loss: mean cross-entropy with every channel, in nats.
        channels: list of (key, channel, its score, change of loss without it).
        groups: list of (the members' scores added up, their changes of loss
            added up, change of loss without all of them).
        overall: correlation of score and change over all channels tried.
        layers: dict: key -> the same within a layer, in forward order.
        group_scores: correlation over the groups of added scores and change.
        group_scores_error: the error of added scores, times the number that
            brings single channels' scores nearest to their changes.
        group_changes: correlation of added changes and the group's change.
        group_changes_error: the error of added changes: 0 where a group
            matters as much as its members together.
    """

    loss: float
    channels: list
    groups: list
    overall: float
    layers: dict
    group_scores: float
    group_scores_error: float
    group_changes: float
    group_changes_error: float

    def table(self):
        """The figures as text, one line a layer."""
        last = "all channels tried"
        width = max(len(name) for name in (*self.layers, last))
        lines = [f"{'layer':{width}}  channels  Spearman"]
        for key, correlation in self.layers.items():
            count = sum(name == key for name, *_ in self.channels)
            lines.append(f"{key:{width}}  {count:8d}  {correlation:8.3f}")
        count = len(self.channels)
        lines += [
            f"{last:{width}}  {count:8d}  {self.overall:8.3f}",
            "",
            f"{len(self.groups)} groups      Spearman  relative error",
            f"sums of scores   {self.group_scores:8.3f}  "
            f"{self.group_scores_error:14.3f}",
            f"sums of changes  {self.group_changes:8.3f}  "
            f"{self.group_changes_error:14.3f}",
        ]
        return "\n".join(lines)


def score_agreement(
    model,
    scores,
    data,
    *,
    samples=1_000,
    channels=256,
    groups=64,
    group_size=8,
    absolute=False,
    seed=0,
    batch_size=128,
):
    """Compares scores with what the loss really does without the channels.

    Channels are silenced as `rrelu_tf.mask` does, one at a time, and in random
    groups of those tried singly; the loss is the mean cross-entropy in
    evaluation mode. That takes 1 + channels + groups times going through the
    data. Whether a group matters as much as its members together, which is
    what adding up scores takes for granted, is what OrthoReg (arXiv 2009.05014)
    is about.

    Args:
        model: a functional or built Sequential `keras.Model` with one output,
            logits or their softmax; it is left as it is.
        scores: dict: key -> float array (channels,), as `rrelu_tf.score`
            gives; or a dict of such dicts, by name, which are compared on the
            same channels where they have the same keys.
        data: as of `rrelu_tf.score`.
        samples: int, the most examples that are used.
        channels: int, the most channels that are tried, drawn evenly from all;
            None tries every one.
        groups: int, how many groups are.
        group_size: int, channels in a group, at most those tried.
        absolute: whether a change's size is compared, as squares of gradients
            estimate it, and not the change.
        seed: int that channels and groups are drawn from.
        batch_size: int, examples in a batch that is cut from a tuple.

    Returns:
        An `Agreement`; for a dict of dicts a dict of them, by name.

    Raises:
        UserError: scores that do not fit the model, data as of
            `rrelu_tf.score`, numbers out of range.
    """
    for name, value, like in (
        ("samples", samples, 1),
        ("channels", channels, None),
        ("groups", groups, 1),
        ("group_size", group_size, 1),
        ("absolute", absolute, False),
        ("seed", seed, 0),
        ("batch_size", batch_size, 1),
    ):
        check_like(name, value, like)
    several = any(isinstance(values, dict) for values in scores.values())
    by_name = scores if several else {"": scores}
    for values in by_name.values():
        _check(values, model)
    changes = LossChanges(
        model,
        {key for values in by_name.values() for key in values},
        data,
        samples=samples,
        batch_size=batch_size,
    )
    found = {}
    for name, values in by_name.items():
        draws = np.random.default_rng(seed)
        tried, members = _draw(values, channels, groups, group_size, draws)
        found[name] = _compare(changes, values, tried, members, absolute)
    return found if several else found[""]


def _check(scores, model):
    if not scores:
        raise UserError(
            f"There must be scores to compare. Received: scores={scores}"
        )
    check_scores({k: np.asarray(s) for k, s in scores.items()}, model)


def _draw(scores, channels, groups, group_size, draws):
    """(list of the (key, channel) to try, groups as arrays of places there)."""
    all_of_them = [(k, c) for k, s in scores.items() for c in range(len(s))]
    total = len(all_of_them)
    count = total if channels is None else min(channels, total)
    chosen = np.sort(draws.choice(total, count, replace=False))
    size = min(group_size, count)
    members = [draws.choice(count, size, replace=False) for _ in range(groups)]
    return [all_of_them[place] for place in chosen], members


def _compare(changes, scores, tried, members, absolute):
    """The `Agreement` on these channels and groups of them."""
    size = np.abs if absolute else np.asarray
    score = np.array([scores[key][c] for key, c in tried], "float64")
    change = size([changes.without([channel]) for channel in tried])
    together = size(
        [changes.without([tried[place] for place in m]) for m in members]
    )
    added_scores, added_changes = (
        np.array([values[m].sum() for m in members])
        for values in (score, change)
    )
    keys = np.array([key for key, _ in tried])
    scale = score @ change / (score @ score) if score.any() else 0.0
    return Agreement(
        loss=changes.loss,
        channels=[
            (*channel, float(s), float(d))
            for channel, s, d in zip(tried, score, change, strict=True)
        ],
        groups=[
            tuple(map(float, figures))
            for figures in zip(
                added_scores, added_changes, together, strict=True
            )
        ],
        overall=_spearman(score, change),
        layers={
            key: _spearman(score[keys == key], change[keys == key])
            for key in scores
        },
        group_scores=_spearman(added_scores, together),
        group_scores_error=_error(scale * added_scores, together),
        group_changes=_spearman(added_changes, together),
        group_changes_error=_error(added_changes, together),
    )


def _spearman(a, b):
    """The correlation of ranks, ties in the middle of theirs."""
    a, b = (_ranks(x) - (len(x) - 1) / 2 for x in (a, b))
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm else float("nan")


def _ranks(values):
    _, place, counts = np.unique(
        values, return_inverse=True, return_counts=True
    )
    below = np.cumsum(counts) - counts
    return (below + (counts - 1) / 2)[place]


def _error(estimates, changes):
    norm = np.linalg.norm(changes)
    return float(np.linalg.norm(estimates - changes) / norm if norm else np.nan)
