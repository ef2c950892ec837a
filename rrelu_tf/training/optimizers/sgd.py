"""Momentum SGD, as PyTorch's."""

import keras
from keras import ops

from rrelu_tf.errors import UserError
from rrelu_tf.training.optimizers.coupled import Coupled, is_number


@keras.saving.register_keras_serializable(package="rrelu_tf")
class SGD(Coupled):
    """Momentum SGD with coupled weight decay, as `torch.optim.SGD`.

        d = g + weight_decay * w
        v = momentum * v + d                   (v starts at 0)
        w -= lr * v                            w -= lr * (d + momentum * v)
                                               if nesterov

    The learning rate is outside the buffer. Keras's SGD has it inside
    (`v = momentum * v - lr * g`), so that after a change of rate past
    gradients keep the old one; at a constant rate the two agree.

    Args:
        learning_rate: number, or Keras `LearningRateSchedule`.
        momentum: at least 0 and below 1. At 0 no buffer is allocated.
        nesterov: bool; needs a momentum above 0.
        weight_decay: finite number, at least 0.
        **kwargs: those of `keras.optimizers.Optimizer`, as `clipnorm`.

    Raises:
        UserError: if an argument breaks its rule.
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum=0.0,
        nesterov=False,
        weight_decay=0.0,
        **kwargs,
    ):
        if not (is_number(momentum) and 0 <= momentum < 1):
            raise UserError(
                "Momentum must be at least 0 and below 1. "
                f"Received: momentum={momentum}"
            )
        if nesterov and not momentum:
            raise UserError(
                "Nesterov's update needs a momentum above 0. "
                f"Received: momentum={momentum}"
            )
        super().__init__(learning_rate, weight_decay, **kwargs)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)

    def build(self, variables):
        """Allocates one buffer per weight, unless momentum is 0."""
        if self.built:
            return
        super().build(variables)
        self._velocities = []
        if self.momentum:
            self._velocities = self.add_optimizer_variables(
                variables, "velocity"
            )

    def step(self, gradient, index, learning_rate):
        """`lr * v`, or with Nesterov `lr * (d + momentum * v)`."""
        if self.momentum:
            buffer = self._velocities[index]
            velocity = ops.add(ops.multiply(self.momentum, buffer), gradient)
            self.assign(buffer, velocity)
            if self.nesterov:
                gradient = ops.add(
                    gradient, ops.multiply(self.momentum, velocity)
                )
            else:
                gradient = velocity
        return ops.multiply(learning_rate, gradient)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return super().get_config() | {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }
