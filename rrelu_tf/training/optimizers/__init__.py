"""SGD and Adam with coupled weight decay, in PyTorch's convention."""

from rrelu_tf.errors import UserError
from rrelu_tf.training.optimizers.adam import Adam
from rrelu_tf.training.optimizers.coupled import Coupled, is_number
from rrelu_tf.training.optimizers.sgd import SGD


def create(
    name,
    learning_rate,
    *,
    momentum=0.9,
    nesterov=False,
    weight_decay=0.0,
    slope_decay=1.0,
    slope_learning_rate=1.0,
):
    """Makes an optimizer by name.

    Args:
        name: "sgd" or "adam".
        learning_rate: finite number above 0, or a Keras
            `LearningRateSchedule`.
        momentum: for "sgd", at least 0 and below 1.
        nesterov: for "sgd" only; needs a momentum above 0.
        weight_decay: coupled, on every weight; finite, at least 0.
        slope_decay: factor of the slopes' decay, at least 0.
        slope_learning_rate: factor of the slopes' learning rate, at least 0.

    Returns:
        A Keras optimizer, `SGD` or `Adam` of this package.

    Raises:
        UserError: if the name is unknown or an argument breaks its rule.
    """
    if name not in ("sgd", "adam"):
        raise UserError(
            f"An optimizer must be sgd or adam. Received: optimizer={name}"
        )
    # An optimizer that is read back may have come to rest at 0: only here.
    if is_number(learning_rate) and learning_rate == 0:
        raise UserError(
            "A learning rate must be above 0. "
            f"Received: learning_rate={learning_rate}"
        )
    factors = {
        "slope_decay": slope_decay,
        "slope_learning_rate": slope_learning_rate,
    }
    if name == "sgd":
        return SGD(learning_rate, momentum, nesterov, weight_decay, **factors)
    if nesterov:
        raise UserError(
            "Nesterov's update is for sgd, not for adam. "
            f"Received: nesterov={nesterov}"
        )
    return Adam(learning_rate, weight_decay=weight_decay, **factors)
