"""Learning rates as pure functions of the step."""

import abc
import math
import numbers

import keras
import tensorflow as tf
from keras import ops

from rrelu_tf.errors import UserError


class Schedule(keras.optimizers.schedules.LearningRateSchedule, abc.ABC):
    """Base of the schedules: linear warm-up, then what a subclass gives.

    The rate changes from epoch to epoch (from step to step where `per_step`
    is True); call such an epoch or step a unit. With w units of warm-up, unit
    u < w has the rate `base * (u + 1) / w`: the last of them has the full
    rate, and is the one from which the subclass's curve starts. So a warm-up
    of 5 epochs leaves a cosine of `epochs - 4`, as in the code of "Rotate the
    ReLU to Sparsify Deep Networks Implicitly" (Nayak & Kalyani, TMLR 2024).

    Units are counted in integers and curves computed in float64: in float32
    the end of a long cosine, `1 + cos(pi - 0.003)`, has two digits left, and
    steps above 2**24 run together.

    Args:
        base: the full learning rate, finite and above 0.
        epochs: length of the run, at least 1. Steps after its end have the
            rate of the curve's end.
        steps_per_epoch: optimizer steps in an epoch, at least 1.
        warmup_epochs: at least 0 and below `epochs`.

    Raises:
        UserError: if an argument breaks its rule.
    """

    per_step = False

    def __init__(self, base, epochs, steps_per_epoch, warmup_epochs=0):
        _require_positive("learning_rate", base)
        _require_integer("epochs", epochs, 1)
        _require_integer("steps_per_epoch", steps_per_epoch, 1)
        _require_integer("warmup_epochs", warmup_epochs, 0)
        if warmup_epochs >= epochs:
            raise UserError(
                f"Warm-up must end before the run's {epochs} epochs do. "
                f"Received: warmup_epochs={warmup_epochs}"
            )
        self.base = float(base)
        self.epochs = int(epochs)
        self.steps_per_epoch = int(steps_per_epoch)
        self.warmup_epochs = int(warmup_epochs)

    def __call__(self, step):
        """The learning rate of optimizer step `step`, the first being 0.

        Args:
            step: scalar integer, or integer tensor of any shape.

        Returns:
            A tensor of the step's shape, in Keras's default float type.
        """
        step = ops.cast(step, "int64")
        length = self.steps_per_epoch if self.per_step else 1
        unit = step if self.per_step else step // self.steps_per_epoch
        warm = self.warmup_epochs * length
        start = max(warm - 1, 0)
        unit = tf.minimum(unit, self.epochs * length)
        factor = tf.where(
            unit < start,
            tf.cast(unit + 1, tf.float64) / max(warm, 1),
            self.curve(unit, start, self.epochs * length),
        )
        return tf.cast(self.base * factor, keras.config.floatx())

    @abc.abstractmethod
    def curve(self, unit, start, end):
        """The factor on the base rate, without regard to the warm-up.

        Args:
            unit: int64 tensor, at most `end`.
            start: int, the unit at which the curve starts.
            end: int, the unit just after the run.

        Returns:
            A float64 tensor of the shape of `unit`.
        """

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            "base": self.base,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "warmup_epochs": self.warmup_epochs,
        }


@keras.saving.register_keras_serializable(package="rrelu_tf")
class Constant(Schedule):
    """The base rate throughout, after the warm-up."""

    def curve(self, unit, start, end):
        """1."""
        return tf.ones_like(unit, tf.float64)


@keras.saving.register_keras_serializable(package="rrelu_tf")
class CosineEpoch(Schedule):
    """Half a cosine down to 0, constant inside each epoch.

    Without warm-up epoch e of E has `base * (1 + cos(pi * e / E)) / 2`:
    PyTorch's `CosineAnnealingLR(T_max=E)`, stepped once per epoch.
    """

    def curve(self, unit, start, end):
        """`(1 + cos(pi * (unit - start) / (end - start))) / 2`."""
        share = tf.cast(unit - start, tf.float64) / (end - start)
        # Half angles: the same number without the cancellation at the end.
        return tf.cos(math.pi / 2 * share) ** 2


@keras.saving.register_keras_serializable(package="rrelu_tf")
class CosineStep(CosineEpoch):
    """Half a cosine down to 0, a little lower at every step.

    Without warm-up step t of T has `base * (1 + cos(pi * t / T)) / 2`.
    """

    per_step = True


@keras.saving.register_keras_serializable(package="rrelu_tf")
class MultiStep(Schedule):
    """The base rate, times `gamma` at each of some epochs.

    Args:
        base: as in `Schedule`.
        epochs: as in `Schedule`.
        steps_per_epoch: as in `Schedule`.
        warmup_epochs: as in `Schedule`.
        milestones: one or more ints, strictly increasing, each the number of
            an epoch (the first being 0) that lies after the warm-up and
            inside the run; that epoch is the first with the new rate.
        gamma: finite number above 0.

    Raises:
        UserError: if an argument breaks its rule.
    """

    def __init__(
        self,
        base,
        epochs,
        steps_per_epoch,
        warmup_epochs=0,
        milestones=(),
        gamma=0.1,
    ):
        super().__init__(base, epochs, steps_per_epoch, warmup_epochs)
        _require_positive("gamma", gamma)
        for milestone in milestones:
            _require_integer("milestones", milestone, 1)
        self.milestones = [int(milestone) for milestone in milestones]
        self.gamma = float(gamma)
        bounds = [max(self.warmup_epochs - 1, 0), *self.milestones, self.epochs]
        if len(bounds) < 3 or any(
            b <= a for a, b in zip(bounds, bounds[1:], strict=False)
        ):
            raise UserError(
                "Milestones must be one epoch or more, increasing, after the "
                f"{self.warmup_epochs} epochs of warm-up and below {epochs} "
                f"epochs. Received: milestones={self.milestones}"
            )

    def curve(self, unit, start, end):
        """`gamma` to the power of the milestones passed."""
        passed = sum(tf.cast(unit >= m, tf.float64) for m in self.milestones)
        return tf.cast(self.gamma, tf.float64) ** passed

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return super().get_config() | {
            "milestones": self.milestones,
            "gamma": self.gamma,
        }


_SCHEDULES = {
    "constant": Constant,
    "cosine_epoch": CosineEpoch,
    "cosine_step": CosineStep,
    "multistep": MultiStep,
}


def create(
    name,
    base,
    *,
    epochs,
    steps_per_epoch,
    warmup_epochs=0,
    milestones=(),
    gamma=0.1,
):
    """Makes a learning rate schedule by name.

    Args:
        name: "constant", "cosine_epoch", "cosine_step" or "multistep".
        base: the full learning rate, finite and above 0.
        epochs: length of the run.
        steps_per_epoch: optimizer steps in an epoch.
        warmup_epochs: epochs of linear warm-up, below `epochs`.
        milestones: for "multistep" only, the epochs at which the rate is
            multiplied by `gamma`.
        gamma: for "multistep" only.

    Returns:
        A `Schedule`, which is a Keras `LearningRateSchedule`.

    Raises:
        UserError: if the name is unknown or an argument breaks its rule.
    """
    if name not in _SCHEDULES:
        raise UserError(
            f"A schedule must be one of {', '.join(_SCHEDULES)}. "
            f"Received: schedule={name}"
        )
    arguments = (base, epochs, steps_per_epoch, warmup_epochs)
    if name == "multistep":
        return MultiStep(*arguments, milestones=milestones, gamma=gamma)
    if milestones:
        raise UserError(
            f"Milestones belong to the schedule multistep, not to {name}. "
            f"Received: milestones={list(milestones)}"
        )
    return _SCHEDULES[name](*arguments)


def _require_positive(name, value):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value > 0):
        raise UserError(
            f"{name} must be a finite number above 0. Received: {name}={value}"
        )


def _require_integer(name, value, least):
    number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (number and value >= least):
        raise UserError(
            f"An integer of at least {least} is needed for {name}. "
            f"Received: {name}={value}"
        )
