"""What happens to wrappers that are pruned alike, step by step."""

import numpy as np

from rrelu_tf.pruning import schedules
from rrelu_tf.pruning.wrappers.choosing import choose
from rrelu_tf.pruning.wrappers.zeroing import Zeroing


class Turns:
    """The wrappers of one schedule, step and score, and their masks.

    Attributes:
        scored: (a method of `rrelu_tf.score`, dict of its options).
    """

    def __init__(self, model, twin, wrappers, labels):
        """Takes charge of wrappers.

        Args:
            model: the wrapped `keras.Model`.
            twin: what `bare` makes of it.
            wrappers: dict: key -> wrapper, all of the same settings and as
                many steps.
            labels: as of `choosing.choose`.
        """
        self._wrappers = wrappers
        self._labels = {key: labels[key] for key in wrappers}
        first = next(iter(wrappers.values()))
        self._schedule = first.pruning_schedule
        self._soft = first.soft
        self._options = {
            "labels": self._labels,
            "scope": first.scope,
            "min_fraction": first.min_fraction,
        }
        self.scored = first.score, first.score_options
        self._zero = Zeroing(model, twin, wrappers)
        self._choose(
            {key: np.ones(len(labels[key])) for key in wrappers},
            schedules.peak(self._schedule),
        )  # refuses now what it could not do then

    def step(self, score):
        """Begins a training step.

        Args:
            score: function of a method and its options that returns the
                scores of the model as it is.
        """
        number = next(iter(self._wrappers.values())).steps() + 1
        for wrapper in self._wrappers.values():
            wrapper.pruning_step.assign(number)
        turn, sparsity = schedules.asked(self._schedule, number)
        if turn:
            self._make_masks(score, sparsity)
        if turn or not self._soft:
            self._zero()

    def zero(self):
        """Zeroes what is masked."""
        self._zero()

    def _make_masks(self, score, sparsity):
        found = score(*self.scored)
        scores = {key: found[key] for key in self._wrappers}
        if not self._soft:  # what is gone is the first to go
            for key, wrapper in self._wrappers.items():
                scores[key] = np.where(wrapper.kept(), scores[key], -np.inf)
        keep, lowest = self._choose(scores, sparsity)
        for key, wrapper in self._wrappers.items():
            wrapper.mask.assign(keep[key].astype("float32"))
            wrapper.threshold.assign(lowest[key])

    def _choose(self, scores, sparsity):
        return choose(scores, sparsity, **self._options)
