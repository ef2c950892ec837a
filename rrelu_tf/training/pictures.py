"""The plots of a network in training: slopes, BN scales, how it got there."""

from rrelu_tf.analysis import paper_plots, plots, training_curves
from rrelu_tf.training import claim, slopes


def draw(folder, model, zeta, metrics=None):
    """Draws what there is of a model, and of the run that trains it.

    `slopes.png` and `alive.png` of its slopes, `gammas.png` of the scales of
    its batch normalisations, and `training_curves.png`.

    Args:
        folder: `pathlib.Path`, made if it is not there.
        model: a functional `keras.Model`.
        zeta: |slope| up to which a channel counts as dead.
        metrics: path of the run's table; None leaves its curves out.

    Raises:
        UserError: if the files cannot be written.
    """
    claim.make_folder(folder)
    if metrics is not None:
        training_curves.training_curves(metrics, folder / "training_curves.png")
    gammas = paper_plots.gammas_of(model)
    if gammas:
        paper_plots.gamma_histogram(gammas, folder / "gammas.png")
    values = slopes.of(model)
    if values:
        total = {name: len(slope) for name, slope in values.items()}
        plots.slope_histogram(values, folder / "slopes.png", zeta)
        plots.alive_along_depth(
            slopes.alive(values, zeta), total, folder / "alive.png"
        )
