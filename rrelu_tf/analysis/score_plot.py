"""The plot of importance scores, which spread over orders of magnitude."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from rrelu_tf.analysis import figure
from rrelu_tf.errors import UserError

_BINS = 60
_DECADES = 12  # scores below the largest by more are drawn in the first bin


def score_histogram(scores, path, threshold=None, *, method="score"):
    """All scores of a network, on a logarithmic axis.

    Args:
        scores: dict: layer name -> float array (channels,), none below 0.
        path: PNG file.
        threshold: float; scores up to it have another colour. None draws one
            colour.
        method: what the scores are called.

    Raises:
        UserError: if no score is above 0, or the file cannot be written.
    """
    values = np.concatenate([np.empty(0), *map(np.ravel, scores.values())])
    above = values[values > 0]
    if not above.size:
        raise UserError(
            "A histogram of scores needs one above 0. "
            f"Received: scores={len(values)} of 0"
        )
    high = np.log10(above.max()) + 0.01
    low = max(np.log10(above.min()) - 0.01, high - _DECADES)
    dead = values <= (-1 if threshold is None else threshold)
    drawn = np.clip(values, 10 ** (low + 1e-9), None)
    with figure.saved(path) as axes:
        edges = np.logspace(low, high, _BINS + 1)
        figure.kept_and_removed(axes, drawn, dead, edges)
        title = f"{len(values):,} scores"
        if threshold is not None:
            title += f", {dead.mean():.1%} of them at most {threshold:.4g}"
            axes.legend(loc="upper right")
        axes.set_title(title)
        axes.set_xscale("log")
        axes.set_xlabel(method)
        axes.set_ylabel("channels")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
