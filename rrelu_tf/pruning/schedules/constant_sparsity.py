"""The same sparsity from one step on."""

from rrelu_tf.pruning.schedules.base import Frequent, check_sparsity


class ConstantSparsity(Frequent):
    """One sparsity at every turn.

    The twin of `tfmot.sparsity.keras.ConstantSparsity`. Steps count from 1:
    with `begin_step=0` the first turn is in step `frequency`.

    Args:
        target_sparsity: in [0, 1), the fraction of the channels that go.
        begin_step: int, the step of the first turn.
        end_step: int, the last step that may have one; -1: none is the last.
        frequency: int, steps from turn to turn.

    Raises:
        UserError: an argument outside its range.
    """

    def __init__(self, target_sparsity, begin_step, end_step=-1, frequency=100):
        super().__init__(begin_step, end_step, frequency)
        self.target_sparsity = check_sparsity(
            "target_sparsity", target_sparsity
        )

    def __call__(self, step):
        """(whether this step has a turn, the sparsity)."""
        return self.has_turn(int(step)), self.target_sparsity
