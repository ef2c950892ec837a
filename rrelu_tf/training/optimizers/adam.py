"""Adam, as PyTorch's."""

import math

import keras
import numpy as np
from keras import ops

from rrelu_tf.errors import UserError
from rrelu_tf.training.optimizers.coupled import Coupled, is_number


@keras.saving.register_keras_serializable(package="rrelu_tf")
class Adam(Coupled):
    """Adam with coupled weight decay, as `torch.optim.Adam`.

        d = g + weight_decay * w
        m = beta_1 * m + (1 - beta_1) * d
        v = beta_2 * v + (1 - beta_2) * d**2   (m and v start at 0)
        w -= lr * (m / c1) / (sqrt(v / c2) + epsilon)
        with c1 = 1 - beta_1**t and c2 = 1 - beta_2**t at step t = 1, 2, ...

    This is Algorithm 1 of Kingma & Ba (2014). Keras's Adam adds its epsilon
    to `sqrt(v)`, before the correction ("epsilon hat"), where the same value
    weighs up to `1 / sqrt(1 - beta_2)` = 32 times more in the first steps,
    and defaults to 1e-7. c1 and c2 are computed in float64, as in PyTorch.

    Args:
        learning_rate: number, or Keras `LearningRateSchedule`.
        beta_1: decay of the mean, at least 0 and below 1.
        beta_2: decay of the mean square, at least 0 and below 1.
        epsilon: finite number above 0.
        weight_decay: finite number, at least 0.
        **kwargs: those of `keras.optimizers.Optimizer`, as `clipnorm`.

    Raises:
        UserError: if an argument breaks its rule.
    """

    def __init__(
        self,
        learning_rate=1e-3,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        weight_decay=0.0,
        **kwargs,
    ):
        for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not (is_number(beta) and 0 <= beta < 1):
                raise UserError(
                    f"{name} must be at least 0 and below 1. "
                    f"Received: {name}={beta}"
                )
        if not (is_number(epsilon) and 0 < epsilon < math.inf):
            raise UserError(
                "Epsilon must be a finite number above 0. "
                f"Received: epsilon={epsilon}"
            )
        super().__init__(learning_rate, weight_decay, **kwargs)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)

    def build(self, variables):
        """Allocates the mean and the mean square of each weight's gradient."""
        if self.built:
            return
        super().build(variables)
        self._means, self._squares = self.add_optimizer_variables(
            variables, ["mean", "square"]
        )

    def step(self, gradient, index, learning_rate):
        """`lr * (m / c1) / (sqrt(v / c2) + epsilon)`."""
        moments = []
        for buffer, beta, value in (
            (self._means[index], self.beta_1, gradient),
            (self._squares[index], self.beta_2, ops.square(gradient)),
        ):
            new = ops.add(
                ops.multiply(beta, buffer), ops.multiply(1 - beta, value)
            )
            self.assign(buffer, new)
            time = ops.cast(self.iterations + 1, "float64")
            correction = 1 - ops.power(np.float64(beta), time)
            moments.append(ops.divide(new, ops.cast(correction, new.dtype)))
        mean, square = moments
        return ops.divide(
            ops.multiply(learning_rate, mean),
            ops.add(ops.sqrt(square), self.epsilon),
        )

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
