"""What one run, or one pruned model, came to."""

import dataclasses
import pathlib

from rrelu_tf.analysis import report


@dataclasses.dataclass(frozen=True)
class Result:
    """What one run came to.

    Attributes:
        path: `pathlib.Path` of the run's folder, or of a pruned model's.
        label: short name, unlike that of every other run reported with it.
        recipe: dict of the flags that decided the run; `arch` is that of the
            model that it started from, if it did. Of a pruned model without a
            run: what is known, its `start` being the folder, its `seed` None.
        data: one line on the data as they really were.
        epochs: int, whole epochs trained; None without a run.
        accuracy: test accuracy of the last epoch, in [0, 1]; without a run, of
            the model before it was pruned, None if unknown.
        machine: dict, as `run.json` has it; empty without a run.
        pruned: the `analysis.report.Report` of bin/prune; None without one.
        convention: dict of "memory" and "flops", percent saved as the authors'
            scripts count; None where that is not defined or not known.
        origin: dict, what is known of the model that it started from, as
            `training.origin.describe` has it; None for a run from scratch.
        block_filters: dict, residual block -> filters alive, after pruning;
            None for nets without such blocks, or where it was not recorded.
        curve: dict, tolerance in points -> the `Report` of bin/prune at it,
            None where no channel could go; empty where it was not told several
            tolerances.
        whole: bool, whether pruning is taken to have found nothing to remove:
            nothing is saved then, and the accuracy is the run's own.
    """

    path: pathlib.Path
    label: str
    recipe: dict
    data: str
    epochs: int | None
    accuracy: float | None
    machine: dict
    pruned: report.Report | None
    convention: dict | None
    origin: dict | None = None
    block_filters: dict | None = None
    curve: dict = dataclasses.field(default_factory=dict)
    whole: bool = False

    @property
    def is_run(self):
        """Whether a run trained it, as far as is known here."""
        return self.epochs is not None

    @property
    def is_dense(self):
        """Whether nothing was pruned, neither here nor before it started."""
        if self.pruned is not None:
            return False
        start = self.origin or {"dense": None, "costs": None}
        return "dense" in start and start["dense"] == start["costs"]

    @property
    def before(self):
        """`Measurements` of the net before all pruning; empty if unknown."""
        measured = self.pruned.before if self.pruned else report.Measurements()
        dense = (self.origin or {}).get("dense")
        if dense is None or _costs(measured) == dense:
            return measured
        return report.Measurements(**dense)

    @property
    def after(self):
        """`Measurements` of the net that is left; empty if unknown."""
        if self.pruned is not None:
            return self.pruned.after
        return report.Measurements(**(self.origin or {}).get("costs", {}))

    def saving(self, quantity):
        """The share of a quantity that all pruning saved; None if unknown.

        Args:
            quantity: name of a field of `analysis.report.Measurements`.
        """
        if self.is_dense:
            return 0.0 if self.whole else None
        before = getattr(self.before, quantity)
        after = getattr(self.after, quantity)
        if not before or after is None:
            return None
        return 1 - after / before

    @property
    def final_accuracy(self):
        """Test accuracy after pruning, or the run's own; None if unknown."""
        return self.pruned.after.accuracy if self.pruned else self.accuracy


def _costs(measured):
    names = ("parameters", "weights", "flops")
    return {name: getattr(measured, name) for name in names}
