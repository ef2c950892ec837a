"""The plots of a network in training: its slopes, and how it got there."""

from rrelu_tf.analysis import plots, training_curves
from rrelu_tf.training import claim, slopes


def draw(folder, values, zeta, metrics=None):
    """Draws `slopes.png`, `alive.png` and, of a run, `training_curves.png`.

    Args:
        folder: `pathlib.Path`, made if it is not there.
        values: dict, layer name -> slopes; an empty one is not drawn.
        zeta: |slope| up to which a channel counts as dead.
        metrics: path of the run's table; None leaves its curves out.

    Raises:
        UserError: if the files cannot be written.
    """
    claim.make_folder(folder)
    if metrics is not None:
        training_curves.training_curves(metrics, folder / "training_curves.png")
    if not values:
        return
    total = {name: len(slope) for name, slope in values.items()}
    plots.slope_histogram(values, folder / "slopes.png", zeta)
    plots.alive_along_depth(
        slopes.alive(values, zeta), total, folder / "alive.png"
    )
