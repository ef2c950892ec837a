"""The largest threshold on |slope| that validation data allow."""

import dataclasses

import numpy as np

from rrelu_tf.errors import UserError

_NOTHING = -1.0  # a threshold that silences no channel
_COARSE = 20  # thresholds tried before the search narrows down
_PATIENCE = 3  # of these, how many in a row may fail before it stops
_GAP_REACH = 0.02  # share of all channels given up for a wider gap,
_GAP_PRICE = 0.2  # and at most this share of those that could go


@dataclasses.dataclass(frozen=True)
class Trial:
    """One threshold and what validation said.

    Attributes:
        zeta: the threshold.
        dead: how many channels score at most `zeta`.
        accuracy: validation accuracy with these channels silent, in [0, 1];
            None where it was not measured.
    """

    zeta: float
    dead: int
    accuracy: float | None


@dataclasses.dataclass(frozen=True)
class Choice:
    """The threshold chosen, and the whole curve.

    Attributes:
        chosen: the `Trial` of the threshold.
        baseline: the `Trial` of threshold 0.
        curve: all trials, by rising zeta.
    """

    chosen: Trial
    baseline: Trial
    curve: list


def search(scores, evaluate, *, tolerance=0.001):
    """Finds the largest threshold whose accuracy stays within a tolerance.

    A threshold only matters by the channels that it silences, so thresholds
    lie between neighbouring scores: about twenty, spread over the channels'
    ranks, then by halving between the last good and the first bad one. Of the
    thresholds that silence a little fewer channels than the largest good one
    (by 2 % of all channels, and a fifth of these at most), that in the widest
    gap of the scores is taken if it is good too: there, no channel is close to
    being judged otherwise.

    Args:
        scores: dict: layer name -> float array (channels,), as `score` gives.
        evaluate: function of a threshold: validation accuracy in [0, 1] with
            all channels at or below it silent; below 0 none is.
        tolerance: how far below that of threshold 0 the accuracy may lie,
            in [0, 1] (0.001 is 0.1 points).

    Returns:
        A `Choice`. Its threshold is 0 where no channel may go.

    Raises:
        UserError: a tolerance that is not in [0, 1], or scores that are not
            finite.
    """
    if not 0 <= tolerance <= 1:
        raise UserError(
            "The tolerance must lie in [0, 1], as a share of the images. "
            f"Received: tolerance={tolerance}"
        )
    return _Search(_ranked(scores), evaluate, tolerance).run()


def _ranked(scores):
    ranked = np.sort(np.concatenate([np.ravel(s) for s in scores.values()]))
    ranked = ranked.astype("float64")
    if not (ranked.size and np.isfinite(ranked).all()):
        raise UserError(
            "A threshold can be searched among finite scores only. "
            f"Received: scores={len(scores)} layers, "
            f"{int((~np.isfinite(ranked)).sum())} scores not finite"
        )
    return ranked


class _Search:
    """Thresholds by the number of channels, `dead`, that they silence."""

    def __init__(self, ranked, evaluate, tolerance):
        self.ranked = ranked
        self.evaluate = evaluate
        self.tolerance = tolerance
        self.trials = {}
        # Only between unequal scores is there a threshold.
        steps = np.flatnonzero(np.diff(ranked) > 0) + 1
        self.possible = [int(dead) for dead in steps if ranked[dead - 1] > 0]

    def run(self):
        zeros = int((self.ranked == 0).sum())
        # Below all scores: a scale of 0 has an offset, which counts.
        untouched = self.evaluate(_NOTHING if zeros else 0.0)
        self.baseline = Trial(0.0, zeros, untouched)
        if zeros and untouched - self.evaluate(0.0) > self.tolerance + 1e-9:
            none = Trial(0.0, 0, untouched)
            return Choice(none, none, [none])
        self.trials[zeros] = self.baseline
        best = self._halve(*self._scan())
        chosen = self._widest_gap(best) if best else self.baseline
        curve = sorted(self.trials.values(), key=lambda trial: trial.zeta)
        return Choice(chosen, self.baseline, curve)

    def _zeta(self, dead):
        """The middle of the gap above the `dead` smallest scores."""
        return float(self.ranked[dead - 1] + self.ranked[dead]) / 2

    def _good(self, dead):
        if dead not in self.trials:
            zeta = self._zeta(dead)
            self.trials[dead] = Trial(zeta, dead, self.evaluate(zeta))
        lost = self.baseline.accuracy - self.trials[dead].accuracy
        # Accuracies are counts over counts: forgive the last binary digit.
        return lost <= self.tolerance + 1e-9

    def _scan(self):
        """Last good and first bad place after it, in `possible`, or None."""
        last = len(self.possible) - 1
        if last < 0:
            return None, None
        # Squares: most of a trained net's cliff lies early.
        places = sorted(
            {round(last * (i / _COARSE) ** 2) for i in range(_COARSE + 1)}
        )
        good, bad, failures = None, None, 0
        for place in places:
            if self._good(self.possible[place]):
                good, bad, failures = place, None, 0
            else:
                bad = place if bad is None else bad
                failures += 1
                if failures == _PATIENCE:
                    break
        return good, bad

    def _halve(self, good, bad):
        """The most channels that may go: 0, or a member of `possible`."""
        if bad is not None:
            low = -1 if good is None else good
            while bad - low > 1:
                middle = (low + bad) // 2
                if self._good(self.possible[middle]):
                    low = middle
                else:
                    bad = middle
            good = low if low >= 0 else None
        return 0 if good is None else self.possible[good]

    def _widest_gap(self, best):
        reach = min(_GAP_REACH * len(self.ranked), _GAP_PRICE * best)
        near = [dead for dead in self.possible if best - reach <= dead <= best]
        near.sort(key=lambda d: self.ranked[d] - self.ranked[d - 1])
        while not self._good(near[-1]):
            near.pop()
        return self.trials[near[-1]]
