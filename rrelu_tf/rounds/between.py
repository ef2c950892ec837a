"""What goes on from the first of a round's two trainings to the second."""

import shutil

from rrelu_tf import atomic


def write(folder, run, which, stripped):
    """Writes a run's model with its manifest whole, or not at all.

    Args:
        folder: path to write: `model.keras` and `manifest.json`.
        run: the finished `Run`.
        which: "last" or "best", the epoch that goes on.
        stripped: path of the model that the run started from, beside whose
            manifest, by which the next run knows where it comes from.

    Raises:
        UserError: if it cannot be written.
    """
    with atomic.path(folder) as temporary:
        temporary.mkdir()
        getattr(run, which)().save(temporary / "model.keras")
        shutil.copy(stripped.with_name("manifest.json"), temporary)
