"""Schedules of anyone's making: TFMOT's objects, configurations, ours."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.schedules.base import PruningSchedule
from rrelu_tf.pruning.schedules.constant_sparsity import ConstantSparsity
from rrelu_tf.pruning.schedules.polynomial_decay import PolynomialDecay

_OURS = {made.__name__: made for made in (ConstantSparsity, PolynomialDecay)}
# Called, too, but they say something else: names as ours among them.
_OTHERS = (
    type,
    keras.layers.Layer,
    keras.optimizers.schedules.LearningRateSchedule,
)
# Where TFMOT's schedules and ours hold the sparsities that they go between.
_ENDS = ("target_sparsity", "initial_sparsity", "final_sparsity")


def get(schedule):
    """A schedule from one, or from its configuration.

    Args:
        schedule: any object with TFMOT's `__call__(step)` and `get_config()`,
            TFMOT's own too, or what `get_config()` returned:
            `{"class_name": ..., "config": {...}}`.

    Returns:
        The object; of a configuration, ours of that name, or the class that is
        registered with Keras under it.

    Raises:
        UserError: something else, a name that is not known, or arguments
            outside their range.
    """
    if not isinstance(schedule, dict):
        alike = callable(schedule) and hasattr(schedule, "get_config")
        if alike and not isinstance(schedule, _OTHERS):
            return schedule
        raise UserError(
            "pruning_schedule must be a PruningSchedule, rrelu_tf's or TFMOT's,"
            " or its configuration. "
            f"Received: pruning_schedule={_shown(schedule)}"
        )
    if set(schedule) != {"class_name", "config"}:
        raise UserError(
            "A schedule's configuration must have class_name and config. "
            f"Received: pruning_schedule={schedule}"
        )
    name, config = schedule["class_name"], schedule["config"]
    made = None
    if isinstance(name, str):
        made = keras.saving.get_registered_object(name) or _OURS.get(name)
    if made is None:
        raise UserError(
            f"A schedule's class_name must be one of {', '.join(_OURS)} or "
            "registered by keras.saving.register_keras_serializable. "
            f"Received: class_name={name}"
        )
    rule = f"A schedule's config must be a dict of the arguments of {name}."
    if not isinstance(config, dict):
        raise UserError(f"{rule} Received: config={config}")
    try:
        return get(made.from_config(dict(config)))
    except TypeError as error:  # arguments that the class does not have
        raise UserError(f"{rule} Received: config={config}") from error


def serialize(schedule):
    """A schedule as a configuration that `get` reads."""
    config = schedule.get_config()
    if set(config) != {"class_name", "config"}:  # not in TFMOT's form
        config = {"config": config}
    registered = keras.saving.get_registered_name(type(schedule))
    return {"class_name": registered, "config": dict(config["config"])}


def asked(schedule, step):
    """What a schedule says of a step.

    Args:
        schedule: any object of `get`.
        step: int, 1 in the first training step.

    Returns:
        (bool, numpy.float32): whether masks are made anew, and for what
        sparsity; of the precision in which TFMOT computes.

    Raises:
        UserError: no such pair; a sparsity outside [0, 1) in a step with a
            turn.
    """
    number = step
    if not isinstance(schedule, PruningSchedule):  # TFMOT's take tensors
        number = keras.ops.convert_to_tensor(step, "int64")
    said = schedule(number)
    try:
        turn, sparsity = said
        turn, sparsity = bool(turn), np.float32(sparsity)
    except (TypeError, ValueError) as error:
        raise UserError(
            "A schedule must return whether masks are made anew, and a "
            "sparsity: (bool, float). "
            f"Received: {type(schedule).__name__} at step {step}={said!r}"
        ) from error
    if turn and not 0 <= sparsity < 1:
        raise UserError(
            "A schedule's sparsity must lie in [0, 1). "
            f"Received: {type(schedule).__name__} at step {step}={sparsity}"
        )
    return turn, sparsity


def peak(schedule):
    """The largest sparsity that a schedule tells it comes to; 0 if none."""
    return max(
        (getattr(schedule, end) for end in _ENDS if hasattr(schedule, end)),
        default=0.0,
    )


def _shown(value):
    plain = isinstance(value, (str, int, float, type, type(None)))
    return value if plain else type(value).__name__
