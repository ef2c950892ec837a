"""The rounds: each pruned, then retrained, from wherever the folder stands."""

import json

import tensorflow as tf

from rrelu_tf.analysis import report, rounds_table
from rrelu_tf.models import keras_file
from rrelu_tf.rounds import between, result, retraining, stripping
from rrelu_tf.rounds.folder import Folder
from rrelu_tf.training import trainer


def run(base, plan, path, data, *, devices=None, data_dir=None, download=False):
    """Prunes in rounds, or goes on with it, and reports.

    Stopped or killed at any moment, the same call goes on from what is whole
    in the folder and, on one device and with `recipe.deterministic`, ends in
    the same model. A finished folder is only reported.

    Args:
        base: the `Base`.
        plan: the `Plan`.
        path: of the folder to write, see `rounds.folder`.
        data: the `rrelu_tf.data.Data` of `base.recipe`.
        devices: the `tf.distribute.Strategy` to retrain on; None: the recipe's.
        data_dir: where the data set lies, for the retraining.
        download: bool, whether it may be fetched.

    Returns:
        The `analysis.report.Report`.

    Raises:
        UserError: as of `Plan`, `cut`, `training.trainer.train`; a folder of
            something else.
        NotEquivalent: a stripped model is not equal to the masked one; what
            was done before stays.
        Interrupted: if SIGTERM or SIGINT came while a net was retrained.
    """
    retraining.check(base.recipe, plan)
    folder = Folder(path)
    request = {**plan.to_dict(), "recipe": base.recipe.to_dict()}
    with folder.claimed(request | {"weights": base.fingerprint}):
        if folder.is_finished:
            print(f"the pruning is finished already: {folder.path}")
            return report.read(folder.path)
        if base.recipe.deterministic and not base.recipe.jit_compile:
            # Scores, too: the round that a kill repeats is to have the same.
            tf.config.experimental.enable_op_determinism()
        where = {"data_dir": data_dir, "download": download}
        rounds = _Rounds(base, plan, folder, data, where | {"devices": devices})
        for number in range(1, plan.count + 1):
            rounds.do(number)
        return result.write(
            folder.path, base, rounds.model, plan, data, rounds.done
        )


class _Rounds:
    """The net as it is after the rounds that are done, and their figures."""

    def __init__(self, base, plan, folder, data, options):
        self.base = base
        self.plan = plan
        self.folder = folder
        self.data = data
        self.options = options
        self.model = base.model
        self.done = []

    def do(self, number):
        """Does what is not done yet of a round, and tells of it."""
        stripped = self.folder.stripped(number)
        if not stripped.is_dir():
            stripping.write(
                stripped,
                self.model,
                self.base,
                self.plan,
                number,
                self.data,
                self.done,
            )
        file = stripped / "model.keras"
        retrained = self._retrain(number, file)
        figures = stripping.read(stripped)
        figures |= _after(retrained, self.plan.goes_on, figures)
        figures["epochs"] = retraining.epochs(
            self.base.recipe, self.plan, number
        )
        self.done.append(figures)
        if retrained is None:
            self.model = keras_file.load(file)
        else:
            self.model = getattr(retrained, self.plan.goes_on)()
        rounds_table.show(self.done)

    def _retrain(self, number, file):
        """The finished `Run` of a round's last training; None without one."""
        recipe, plan, folder = self.base.recipe, self.plan, self.folder
        first = retraining.plain(recipe, plan, number, file)
        start = file if first is None else folder.between(number) / file.name
        second = retraining.ortho(recipe, plan, number, start)
        if first is None and second is None:
            return None
        last = folder.round(number)
        if second is None:
            return trainer.train(first, last, **self.options)
        if first is not None:
            run = trainer.train(first, folder.plain(number), **self.options)
            if not start.is_file():
                between.write(start.parent, run, plan.goes_on, file)
        return trainer.train(second, last, **self.options)


def _after(run, which, figures):
    """A round's accuracies after retraining; without one, those at once."""
    if run is None:
        return {
            "accuracy_after": figures["accuracy_at_once"],
            "validation_after": figures["validation_at_once"],
        }
    measured = json.loads((run.path / "report.json").read_text())
    # Of the best epoch none, where its checkpoint was found broken.
    chosen = measured[which] or measured["last"]
    return {
        "accuracy_after": chosen["test_accuracy"],
        "validation_after": chosen["validation_accuracy"],
    }
