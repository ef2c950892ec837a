"""Coupled weight decay, in PyTorch's convention."""

import abc
import math
import numbers

import keras
from keras import ops

from rrelu_tf.errors import UserError

SLOPE = "slope"  # what rotated activations call their weight


class Coupled(keras.optimizers.Optimizer, abc.ABC):
    """Base of the optimizers that add `weight_decay * w` to the gradient.

    Every weight that has a gradient decays: kernels, biases, gammas, betas
    and slopes alike, unless `exclude_from_weight_decay` names it. (A weight
    that the loss does not reach at all has no gradient; Keras warns and skips
    it, as PyTorch does.) The decay on the slopes is what drives them to zero.

    Keras's own `weight_decay=` does not reproduce that. It is decoupled:
    `w -= lr * wd * w`, once per step and past the momentum. Coupled decay
    goes through the momentum buffer, which multiplies whatever is constant by
    `1 / (1 - momentum)`: at momentum 0.9 Keras's is ten times weaker.

    Keras's clipping (`clipnorm`, `clipvalue`, `global_clipnorm`), gradient
    accumulation and loss scaling act on the gradient before the decay is
    added, which is where PyTorch's recipes have them.

    Two factors are for the weights named `slope`, those of the rotated
    activations, alone: `slope_decay` multiplies their decay,
    `slope_learning_rate` their learning rate. Both are 1 in the paper.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay=0.0,
        *,
        slope_decay=1.0,
        slope_learning_rate=1.0,
        **kwargs,
    ):
        if is_number(learning_rate):
            if not (math.isfinite(learning_rate) and learning_rate >= 0):
                raise UserError(
                    "A learning rate must be finite and not negative. "
                    f"Received: learning_rate={learning_rate}"
                )
            learning_rate = float(learning_rate)
        elif not callable(learning_rate):
            raise UserError(
                "A learning rate must be a number or a schedule. "
                f"Received: learning_rate={learning_rate}"
            )
        if not (is_number(weight_decay) and 0 <= weight_decay < math.inf):
            raise UserError(
                "Weight decay must be a finite number, at least 0. "
                f"Received: weight_decay={weight_decay}"
            )
        for name, factor in (
            ("slope_decay", slope_decay),
            ("slope_learning_rate", slope_learning_rate),
        ):
            if not (is_number(factor) and 0 <= factor < math.inf):
                raise UserError(
                    f"{name} must be a finite factor of at least 0. "
                    f"Received: {name}={factor}"
                )
        # The base class decays by itself, decoupled, if it gets the argument.
        super().__init__(learning_rate, weight_decay=None, **kwargs)
        self.coupled_weight_decay = float(weight_decay)
        self.slope_decay = float(slope_decay)
        self.slope_learning_rate = float(slope_learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        """Changes one weight; Keras calls it for each.

        `gradient` has the shape of `variable`, `learning_rate` is a scalar.
        """
        gradient = ops.cast(gradient, variable.dtype)
        decay = self.coupled_weight_decay
        if variable.name == SLOPE:
            decay *= self.slope_decay
            if self.slope_learning_rate != 1:
                learning_rate = learning_rate * self.slope_learning_rate
        if decay and self._use_weight_decay(variable):
            gradient = ops.add(gradient, ops.multiply(decay, variable))
        step = self.step(
            gradient,
            self._get_variable_index(variable),
            ops.cast(learning_rate, variable.dtype),
        )
        self.assign_sub(variable, step)

    @abc.abstractmethod
    def step(self, gradient, index, learning_rate):
        """What to subtract from a weight.

        Args:
            gradient: of loss and decay together, in the weight's data type.
            index: of the weight, in `trainable_weights` of the model.
            learning_rate: scalar of the same type.
        """

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return super().get_config() | {
            "weight_decay": self.coupled_weight_decay,
            "slope_decay": self.slope_decay,
            "slope_learning_rate": self.slope_learning_rate,
        }


def is_number(value):
    """Whether a value is a real number, and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
