"""SGD and Adam with coupled weight decay, in PyTorch's convention."""

import abc
import math
import numbers

import keras
import numpy as np
from keras import ops

from rrelu_tf.errors import UserError


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
    """

    def __init__(self, learning_rate, weight_decay=0.0, **kwargs):
        if _is_number(learning_rate):
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
        if not (_is_number(weight_decay) and 0 <= weight_decay < math.inf):
            raise UserError(
                "Weight decay must be a finite number, at least 0. "
                f"Received: weight_decay={weight_decay}"
            )
        # The base class decays by itself, decoupled, if it gets the argument.
        super().__init__(learning_rate, weight_decay=None, **kwargs)
        self.coupled_weight_decay = float(weight_decay)

    def update_step(self, gradient, variable, learning_rate):
        """Changes one weight; Keras calls it for each.

        `gradient` has the shape of `variable`, `learning_rate` is a scalar.
        """
        gradient = ops.cast(gradient, variable.dtype)
        if self.coupled_weight_decay and self._use_weight_decay(variable):
            gradient = ops.add(
                gradient, ops.multiply(self.coupled_weight_decay, variable)
            )
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
            "weight_decay": self.coupled_weight_decay
        }


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
        if not (_is_number(momentum) and 0 <= momentum < 1):
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
            if not (_is_number(beta) and 0 <= beta < 1):
                raise UserError(
                    f"{name} must be at least 0 and below 1. "
                    f"Received: {name}={beta}"
                )
        if not (_is_number(epsilon) and 0 < epsilon < math.inf):
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


def create(
    name, learning_rate, *, momentum=0.9, nesterov=False, weight_decay=0.0
):
    """Makes an optimizer by name.

    Args:
        name: "sgd" or "adam".
        learning_rate: finite number above 0, or a Keras
            `LearningRateSchedule`.
        momentum: for "sgd", at least 0 and below 1.
        nesterov: for "sgd" only; needs a momentum above 0.
        weight_decay: coupled, on every weight; finite, at least 0.

    Returns:
        A Keras optimizer, `SGD` or `Adam` of this module.

    Raises:
        UserError: if the name is unknown or an argument breaks its rule.
    """
    if name not in ("sgd", "adam"):
        raise UserError(
            f"An optimizer must be sgd or adam. Received: optimizer={name}"
        )
    # An optimizer that is read back may have come to rest at 0: only here.
    if _is_number(learning_rate) and learning_rate == 0:
        raise UserError(
            "A learning rate must be above 0. "
            f"Received: learning_rate={learning_rate}"
        )
    if name == "sgd":
        return SGD(learning_rate, momentum, nesterov, weight_decay)
    if nesterov:
        raise UserError(
            "Nesterov's update is for sgd, not for adam. "
            f"Received: nesterov={nesterov}"
        )
    return Adam(learning_rate, weight_decay=weight_decay)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
