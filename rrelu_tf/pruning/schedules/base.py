"""What every pruning schedule is."""

import abc
import numbers

from rrelu_tf.errors import UserError


class PruningSchedule(abc.ABC):
    """Says at each training step whether to prune, and how much.

    The twin of `tfmot.sparsity.keras.PruningSchedule`: inherit from it for a
    schedule of your own, with `__call__` and `get_config`, and register the
    class with `keras.saving.register_keras_serializable`, so that models that
    hold it can be loaded.
    """

    @abc.abstractmethod
    def __call__(self, step):
        """Whether masks are made anew in this step, and for what sparsity.

        Args:
            step: int, 1 in the first training step.

        Returns:
            (bool, float): the latter in [0, 1), the fraction of channels that
            are to be gone.
        """

    @abc.abstractmethod
    def get_config(self):
        """TFMOT's form: `{"class_name": ..., "config": {...}}`."""

    @classmethod
    def from_config(cls, config):
        """The schedule of `get_config()["config"]`."""
        return cls(**config)


class Frequent(PruningSchedule):
    """A schedule with a turn every few steps between two steps.

    Attributes:
        begin_step: int, the first step with a turn.
        end_step: int, the last step that may have one; -1: none is the last.
        frequency: int, steps from turn to turn.
    """

    def __init__(self, begin_step, end_step, frequency):
        for name, value, least in (
            ("begin_step", begin_step, 0),
            ("end_step", end_step, -1),
            ("frequency", frequency, 1),
        ):
            whole = isinstance(value, numbers.Integral)
            if not whole or isinstance(value, bool) or value < least:
                raise UserError(
                    f"{name} must be a whole number of at least {least}. "
                    f"Received: {name}={value}"
                )
        if -1 < end_step < begin_step:
            raise UserError(
                "A schedule must not end before it begins. Received: "
                f"begin_step={begin_step}, end_step={end_step}"
            )
        self.begin_step = int(begin_step)
        self.end_step = int(end_step)
        self.frequency = int(frequency)

    def has_turn(self, step):
        """Whether masks are made anew in this step."""
        begun = step >= self.begin_step
        ended = self.end_step >= 0 and step > self.end_step
        return (
            begun
            and not ended
            and (step - self.begin_step) % self.frequency == 0
        )

    def get_config(self):
        """TFMOT's form: `{"class_name": ..., "config": {...}}`."""
        return {"class_name": type(self).__name__, "config": dict(vars(self))}


def check_sparsity(name, value):
    """A sparsity as a float; refuses what is no number in [0, 1)."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and 0 <= value < 1):
        shown = repr(value) if isinstance(value, str) else value
        raise UserError(
            f"{name} must be a number in [0, 1). Received: {name}={shown}"
        )
    return float(value)
