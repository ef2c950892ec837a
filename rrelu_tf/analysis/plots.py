"""Plots as PNG files: slopes, channels along the depth, accuracy against zeta.

Each function draws one file and writes it atomically.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rrelu_tf.analysis import figure
from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of

_BINS = 60


def slope_histogram(slopes, path, zeta=None):
    """All slopes of a network, those that zeta removes in another colour.

    Args:
        slopes: a functional `keras.Model` with rotated activations, in nested
            models or outside; or a dict of arrays.
        path: PNG file.
        zeta: float, threshold on |slope|; None draws one colour.

    Raises:
        UserError: if there are no slopes, or the file cannot be written.
    """
    values = _slopes(slopes)
    low, high = min(values.min(), 0), max(values.max(), 0)
    edges = np.linspace(low, high, _BINS + 1) if low < high else _BINS
    dead = np.abs(values) <= (-1 if zeta is None else zeta)
    with figure.saved(path) as axes:
        figure.kept_and_removed(axes, values, dead, edges)
        title = f"{len(values):,} slopes"
        if zeta is not None:
            title += f", {dead.mean():.1%} of them at most ζ = {zeta:g}"
            axes.axvspan(-zeta, zeta, color=figure.REMOVED, alpha=0.1, lw=0)
            axes.legend(loc="upper right")
        axes.set_title(title)
        axes.set_xlabel("slope")
        axes.set_ylabel("channels")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def alive_along_depth(alive, total, path):
    """How many channels of each layer are alive, in forward order.

    Args:
        alive: dict, layer name -> int, in forward order.
        total: dict, layer name -> int, channels before pruning.
        path: PNG file.

    Raises:
        UserError: if there are no layers, or the file cannot be written.
    """
    if not alive:
        raise UserError(f"A plot needs at least one layer. Received: {alive=}")
    names = list(alive)
    after = np.array([alive[name] for name in names])
    before = np.array([total[name] for name in names])
    places = np.arange(len(names))
    width = min(max(8, 0.24 * len(names)), 24)
    with figure.saved(path, size=(width, 4.8)) as axes:
        axes.bar(places, before, 0.82, color=figure.BEFORE, label="before")
        axes.bar(places, after, 0.82, color=figure.AFTER, label="alive")
        share = after.sum() / before.sum()
        axes.set_title(
            f"{after.sum():,} of {before.sum():,} channels alive ({share:.1%})"
        )
        axes.set_ylabel("channels")
        axes.set_xticks(places, names, rotation=90, fontsize=7.5)
        axes.tick_params(axis="x", length=0)
        # A network of few layers has bars, not walls.
        middle, half = (len(names) - 1) / 2, max(len(names), 8) / 2 + 0.2
        axes.set_xlim(middle - half, middle + half)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def accuracy_against_zeta(points, chosen, path, *, alive=None):
    """Validation accuracy as the threshold grows.

    Args:
        points: sequence of (zeta, accuracy in [0, 1]), in any order.
        chosen: float, the zeta that was taken; None marks none.
        path: PNG file.
        alive: sequence, in the order of `points`, of the share of channels
            alive in [0, 1]; None leaves it out.

    Raises:
        UserError: if there are no points, or the file cannot be written.
    """
    if not len(points):
        raise UserError(f"A plot needs at least one point. Received: {points=}")
    zetas, accuracies = np.array(points, float).T
    order = np.argsort(zetas, kind="stable")
    with figure.saved(path) as axes:
        axes.plot(
            zetas[order],
            accuracies[order],
            marker="o",
            markersize=4,
            color=figure.AFTER,
            label="accuracy",
        )
        if alive is not None:
            axes.plot(
                zetas[order],
                np.array(alive, float)[order],
                linestyle="--",
                color=figure.REMOVED,
                label="share of channels alive",
            )
        if chosen is not None:
            axes.axvline(
                chosen,
                color=figure.ACCENT,
                linestyle=":",
                label=f"chosen: ζ = {chosen:.4g}",
            )
        axes.set_title("Validation accuracy against ζ")
        axes.set_xlabel("ζ: channels that score at most ζ are removed")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="best")


def _slopes(slopes):
    if not isinstance(slopes, dict):
        rotated = layers_of(slopes, Rotated)
        slopes = {key: np.asarray(x.slope) for key, x in rotated.items()}
    if not slopes:
        raise UserError(
            "A slope histogram needs a model with rotated activations. "
            f"Received: slopes={slopes}"
        )
    return np.concatenate([np.ravel(values) for values in slopes.values()])
