"""The RReLU paper's plots: BN scales, active paths, accuracy against savings.

Each function draws one PNG file and writes it atomically.
"""

import keras
import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rrelu_tf.analysis import figure
from rrelu_tf.analysis.paths import path_lengths
from rrelu_tf.errors import UserError
from rrelu_tf.strip.graph import layers_of

_BINS = 50  # as the authors' code has it
# One colour and one marker a method, apart for the colour-blind, too.
_COLOURS = (
    *(figure.AFTER, figure.REMOVED, "#2e8b6f", "#7b5ea7"),
    *("#b8860b", figure.ACCENT, "#c2548a", "#5f9ea0"),
)
_MARKERS = "osD^vPX*"
_LINES = ("-", "--", ":", "-.")
# Where many names hide nothing of a plot.
_BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}


def gammas_of(model):
    """The scales of a model's batch normalisations, as far as they have some.

    Args:
        model: a functional `keras.Model`.

    Returns:
        dict: layer name, `outer/inner` inside nested models -> float array
        (channels,).
    """
    norms = layers_of(model, keras.layers.BatchNormalization)
    return {
        key: keras.ops.convert_to_numpy(layer.gamma)
        for key, layer in norms.items()
        if layer.scale
    }


def gamma_histogram(gammas, path, threshold=None):
    """All scales of a network's batch normalisations.

    Args:
        gammas: a functional `keras.Model`, or a dict of arrays.
        path: PNG file.
        threshold: float; scales of at most this size, which network slimming
            removes, have another colour. None draws one colour.

    Raises:
        UserError: if there are no scales, or the file cannot be written.
    """
    values = _gammas(gammas)
    low, high = min(values.min(), 0), max(values.max(), 0)
    edges = np.linspace(low, high if low < high else low + 1, _BINS + 1)
    dead = np.abs(values) <= (-1 if threshold is None else threshold)
    with figure.saved(path) as axes:
        figure.kept_and_removed(axes, values, dead, edges)
        title = f"{len(values):,} BN scales"
        if threshold is not None:
            title += f", {dead.mean():.1%} of them at most {threshold:g}"
            axes.legend(loc="upper right")
        axes.set_title(title)
        axes.set_xlabel("BN scale (gamma)")
        axes.set_ylabel("channels")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def path_length_histogram(nets, path, *, title=None):
    """How long the paths through residual nets are, in filters alive.

    Args:
        nets: dict, label -> filters alive in each block, as
            `paths.block_filters` returns them; few nets are easily told apart.
        path: PNG file.
        title: text above; None for a plain one.

    Raises:
        UserError: if there are no nets or no blocks, or the file cannot be
            written.
    """
    if not nets:
        raise UserError(f"A plot needs at least one net. Received: {nets=}")
    drawn = {label: path_lengths(filters) for label, filters in nets.items()}
    longest = max(lengths[-1] for lengths, _ in drawn.values())
    edges = np.linspace(0, max(longest, 1), _BINS + 1)
    few = len(drawn) < 4
    size = (8, 4.5 if few else 4.5 + 0.22 * len(drawn))
    with figure.saved(path, size=size) as axes:
        for number, (label, (lengths, counts)) in enumerate(drawn.items()):
            paths = counts.sum()
            # Python's division of ints stays exact where they outgrow floats.
            shares = np.array([count / paths for count in counts])
            mean = float(shares @ lengths)
            text = (
                f"{label}: {_power(len(nets[label]))} paths, mean {mean:,.0f}"
            )
            colour = _COLOURS[number % len(_COLOURS)]
            line = _LINES[number // len(_COLOURS) % len(_LINES)]
            style = {"bins": edges, "weights": shares, "color": colour}
            if few:  # more would hide each other
                axes.hist(lengths, alpha=0.35, **style)
                axes.axvline(mean, ymax=0.8, color=colour, linestyle=":")
            style |= {"histtype": "step", "lw": 1.6, "linestyle": line}
            axes.hist(lengths, label=text, **style)
        axes.set_title(title or "Active path lengths")
        axes.set_xlabel("filters alive in the blocks that a path takes")
        axes.set_ylabel("share of paths")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlim(edges[0], edges[-1])
        if few:
            axes.set_ylim(top=1.25 * axes.get_ylim()[1])
        axes.legend(**({"loc": "upper left"} if few else _BELOW), fontsize=9)


def accuracy_against_savings(methods, path, *, saved="FLOPs", title=None):
    """Accuracy against savings, several methods on one plot.

    A method's mark is the mean over its seeds; its bars are the sample
    standard deviations both ways, and the faint marks are the seeds.

    Args:
        methods: dict, label -> array-like (seeds, 2) of (saving, accuracy),
            both shares of 1; or (points, seeds, 2), for instance one point a
            threshold, whose means a line joins.
        path: PNG file.
        saved: what was saved, for the axis.
        title: text above; None for a plain one.

    Raises:
        UserError: if there are no methods or their numbers have another
            shape, or the file cannot be written.
    """
    points = {label: _points(label, given) for label, given in methods.items()}
    if not points:
        raise UserError(
            f"A plot needs at least one method. Received: {methods}"
        )
    looks = zip(
        points.items(),
        _cycle(_COLOURS, len(points)),
        _cycle(_MARKERS, len(points)),
        strict=True,
    )
    few = len(points) < 4
    size = (6.4, 4.6 if few else 4.6 + 0.22 * len(points))
    with figure.saved(path, size=size) as axes:
        for (label, values), colour, marker in looks:
            _draw_method(axes, label, values, colour, marker)
        axes.set_title(title or f"Accuracy against {saved} saved")
        axes.set_xlabel(f"{saved} saved")
        axes.set_ylabel("test accuracy")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="x")
        _frame(axes, np.concatenate([*map(_extent, points.values())]))
        axes.legend(**({"loc": "best"} if few else _BELOW), fontsize=9)


def _extent(values):
    """The seeds and the ends of their bars, (number, 2)."""
    means = values.mean(axis=1)
    spreads = _spreads(values)
    return np.concatenate(
        [values.reshape(-1, 2), means - spreads, means + spreads]
    )


def _spreads(values):
    """Sample standard deviations over the seeds, 0 for a single one."""
    if values.shape[1] == 1:
        return np.zeros((len(values), 2))
    return values.std(axis=1, ddof=1)


def _frame(axes, values):
    """Limits with no saving in them, and not too close around one point."""
    savings, accuracies = values.T
    low, high = min(savings.min(), 0), max(savings.max(), 0.01)
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    middle = (accuracies.min() + accuracies.max()) / 2
    half = max(0.6 * (accuracies.max() - accuracies.min()), 0.01)
    axes.set_ylim(middle - half, middle + half)


def _draw_method(axes, label, values, colour, marker):
    means = values.mean(axis=1)
    seeds = values.shape[1]
    spreads = _spreads(values)
    if seeds > 1:
        axes.scatter(
            *values.reshape(-1, 2).T,
            marker=marker,
            s=14,
            color=colour,
            alpha=0.35,
            linewidths=0,
        )
    axes.errorbar(
        *means.T,
        xerr=spreads[:, 0],
        yerr=spreads[:, 1],
        fmt=marker,
        linestyle="-" if len(means) > 1 else "none",
        color=colour,
        capsize=3 if seeds > 1 else 0,
        elinewidth=1.2,
        markersize=7,
        label=f"{label} ({seeds} seed{'s' if seeds > 1 else ''})",
    )


def _points(label, given):
    """Float array (points, seeds, 2)."""
    try:
        values = np.asarray(given, float)
    except (TypeError, ValueError):
        values = np.empty(0)
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[-1] != 2 or not values.size:
        raise UserError(
            "A method's results must be (saving, accuracy) for each seed, as "
            f"many at each point. Received: {label}={given}"
        )
    return values


def _cycle(looks, count):
    return [looks[number % len(looks)] for number in range(count)]


def _power(blocks):
    return f"$2^{{{blocks}}}$"


def _gammas(given):
    found = gammas_of(given) if isinstance(given, keras.Model) else given
    if not found:
        raise UserError(
            "A histogram of BN scales needs a model with batch normalisations "
            f"that scale. Received: gammas={given}"
        )
    return np.concatenate([np.ravel(values) for values in found.values()])
