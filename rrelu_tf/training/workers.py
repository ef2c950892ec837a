"""One run, trained by several processes: who joins, and who writes."""

import contextlib
import pathlib
import shutil
import tempfile

import tensorflow as tf

from rrelu_tf.errors import WorkerLost
from rrelu_tf.training import checkpoints, cluster, rendezvous, strategy
from rrelu_tf.training.starting import FILE as START

# What collectives raise when a worker is gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def joined(recipe, path, timeout):
    """Joins the other workers of a recipe's job, if it has any.

    Only the chief writes in the run's folder. The other workers train in a
    copy of their own, in a temporary folder that is removed in the end, so
    that all of them do the same, step by step.

    Args:
        recipe: the `Recipe`.
        path: of the run's folder, in a file system that all workers see.
        timeout: float, seconds to wait for the others.

    Yields:
        The `tf.distribute.Strategy`, and the folder to train in.

    Raises:
        UserError: if TF_CONFIG is wrong, a worker does not come, or workers
            differ in the recipe or in the epochs that they see as done.
        WorkerLost: if one is lost while training.
    """
    if recipe.strategy != strategy.MULTIWORKER:
        yield strategy.create(recipe.strategy, recipe.virtual_devices), path
        return
    strategy.check(recipe.strategy, recipe.virtual_devices)
    here = cluster.of_environment()

    def plan():
        done = checkpoints.epochs(pathlib.Path(path) / "checkpoints")
        return recipe.to_dict() | {"epochs_done": done[-1] if done else 0}

    rendezvous.meet(here, plan, timeout)
    with _folder(here, path) as folder:
        try:
            yield strategy.create(recipe.strategy), folder
        except _LOST as error:
            raise WorkerLost(
                f"lost a worker ({type(error).__name__})"
            ) from error


@contextlib.contextmanager
def _folder(here, path):
    """Where this worker trains."""
    if here.is_chief:
        yield path
        return
    with tempfile.TemporaryDirectory(
        prefix="rrelu_tf-", ignore_cleanup_errors=True
    ) as folder:
        _copy(pathlib.Path(path), pathlib.Path(folder))
        yield folder


def _copy(run, folder):
    """Copies what a run goes on from.

    Nothing is being written then: the chief begins when all have a model.
    """
    if (run / "checkpoints").is_dir():
        shutil.copytree(run / "checkpoints", folder / "checkpoints")
    for file in ("run.json", START, "early_bird.json"):
        if (run / file).is_file():
            shutil.copy(run / file, folder / file)
