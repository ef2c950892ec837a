"""A sparsity that grows fast at first, and slowly at the end."""

import numbers

import numpy as np
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.schedules.base import Frequent, check_sparsity


class PolynomialDecay(Frequent):
    """The sparsity goes from one value to another along a polynomial.

    `final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power`,
    held at its ends. The twin of `tfmot.sparsity.keras.PolynomialDecay`.

    Source: Zhu & Gupta (2017), "To prune, or not to prune", equation 1.

    Args:
        initial_sparsity: in [0, 1), at `begin_step`.
        final_sparsity: in [0, 1), at `end_step`.
        begin_step: int, the step of the first turn; steps count from 1.
        end_step: int, the last step that may have one.
        power: number, the polynomial's exponent.
        frequency: int, steps from turn to turn.

    Raises:
        UserError: an argument outside its range.
    """

    def __init__(
        self,
        initial_sparsity,
        final_sparsity,
        begin_step,
        end_step,
        power=3,
        frequency=100,
    ):
        super().__init__(begin_step, end_step, frequency)
        if self.end_step <= self.begin_step:
            raise UserError(
                "A polynomial decay must end after it begins. Received: "
                f"begin_step={begin_step}, end_step={end_step}"
            )
        self.initial_sparsity = check_sparsity(
            "initial_sparsity", initial_sparsity
        )
        self.final_sparsity = check_sparsity("final_sparsity", final_sparsity)
        number = isinstance(power, numbers.Real) and power is not True
        if not (number and power > 0):
            raise UserError(
                f"power must be a number above 0. Received: power={power}"
            )
        self.power = power

    def __call__(self, step):
        """(whether this step has a turn, the sparsity)."""
        step = int(step)
        # TFMOT's order, precision and power: NumPy's is another in some bits.
        one, zero = np.float32(1), np.float32(0)
        length = np.float32(self.end_step - self.begin_step)
        done = np.float32(step - self.begin_step) / length
        left = one - min(one, max(zero, done))
        change = np.float32(self.initial_sparsity - self.final_sparsity)
        gone = change * tf.pow(left, float(self.power)).numpy()
        return self.has_turn(step), gone + np.float32(self.final_sparsity)
