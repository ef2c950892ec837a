"""The trainings of a round, as recipes that start from the stripped model."""

import dataclasses

from rrelu_tf import seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.training.recipe import OF_THE_START, Recipe

# Fields that retraining may have of its own.
FIELDS = (
    *("batch_size", "optimizer", "learning_rate", "schedule"),
    *("warmup_epochs", "gamma", "momentum", "weight_decay"),
    *("augmentation", "orthoreg"),
)
# What a round has not: what belongs to the start, the slopes' own training,
# a search for what to prune.
_NOT_AGAIN = (
    *(*OF_THE_START, "two_step_epochs", "two_step_zeta", "early_bird"),
    *("early_bird_score", "early_bird_sparsity", "early_bird_epochs"),
)


def check(recipe, plan):
    """Refuses a retraining of any round that breaks a rule.

    Raises:
        UserError: for the first.
    """
    _check_orthoreg(plan)
    _check_milestones(recipe, plan)
    for number in range(1, plan.count + 1):
        for made in (plain, ortho):
            made(recipe, plan, number, "model.keras")


def _check_orthoreg(plan):
    """Refuses a factor that no training would have."""
    factor = plan.retraining.get("orthoreg")
    if factor is not None and not plan.has_ortho:
        raise UserError(
            "retrain_orthoreg is for a second training of a round: give its "
            "epochs, as --retrain_epochs=40+20. "
            f"Received: retrain_orthoreg={factor}"
        )
    if factor == 0:
        raise UserError(
            "The second training of a round is with OrthoReg: leave its epochs "
            "out, --retrain_epochs=40, or give a factor above 0. "
            f"Received: retrain_orthoreg={factor}"
        )


def _check_milestones(recipe, plan):
    """Refuses milestones that no schedule has, or a schedule without any."""
    schedule = _schedule(recipe, plan.retraining)
    steps, given = schedule == "multistep", bool(plan.retrain_milestones)
    if given and not steps:
        raise UserError(
            "retrain_milestones is for --retrain_schedule=multistep. "
            f"Received: retrain_schedule={schedule}"
        )
    if steps and not given and not recipe.milestones:
        raise UserError(
            "The schedule multistep needs --retrain_milestones. "
            f"Received: retrain_schedule={schedule}"
        )


def plain(recipe, plan, number, start):
    """The `Recipe` of a round's training without OrthoReg; None without one.

    Args:
        recipe: the `Recipe` of the run that is pruned.
        plan: the `Plan`.
        number: of the round, from 1.
        start: path of the model to start from.

    Raises:
        UserError: for a choice that breaks its rule.
    """
    changes = {"orthoreg": 0.0, "protocol": Recipe.protocol}
    return _made(recipe, plan, number, 0, start, changes)


def ortho(recipe, plan, number, start):
    """The same of its training with OrthoReg, which has no weight decay.

    The factor is that given for retraining, or the run's, or that of
    `rrelu_tf.orthogonalize` by the plan's protocol, which is OrthoReg's, too.
    Source: the authors' schedule of iterative pruning.
    """
    if not _epochs(recipe, plan, number)[1]:
        return None
    changes = {"orthoreg": _factor(recipe, plan), "protocol": plan.protocol}
    changes |= {"weight_decay": 0.0, "slope_decay": 1.0}
    return _made(recipe, plan, number, 1, start, changes)


def _factor(recipe, plan):
    given = plan.retraining.get("orthoreg", recipe.orthoreg)
    if given or plan.protocol == "correct":
        return given or seed_protocol.FACTOR
    if recipe.start:
        raise UserError(
            "A run that started from a file does not name the net, by which "
            "protocol=seed chooses the factor of OrthoReg: give "
            f"--retrain_orthoreg. Received: start={recipe.start}"
        )
    return seed_protocol.factor(recipe.arch)


def epochs(recipe, plan, number):
    """How long a round retrains, as text: 40, or 40+20."""
    plain, ortho = _epochs(recipe, plan, number)
    return f"{plain}+{ortho}" if ortho else f"{plain}"


def _epochs(recipe, plan, number):
    return plan.epochs(number) or (recipe.epochs, 0)


def _made(recipe, plan, number, part, start, changes):
    """The `Recipe` of a round's first (0) or second (1) training, or None."""
    epochs = _epochs(recipe, plan, number)[part]
    if not epochs:
        return None
    own = {name: getattr(Recipe, name) for name in _NOT_AGAIN}
    if plan.retraining.get("optimizer", recipe.optimizer) == "adam":
        own["momentum"] = Recipe.momentum
    given = plan.milestones(number)
    own |= _rate(recipe, plan.retraining, epochs, given and given[part])
    own |= {"epochs": epochs, "start": str(start), **changes}
    _check_lengths(own, epochs)
    try:
        return dataclasses.replace(recipe, **own)
    except UserError as error:
        text = str(error)
        for name in plan.retraining:
            text = text.replace(f": {name}=", f": retrain_{name}=")
        raise UserError(text) from error


def _rate(recipe, retraining, epochs, milestones):
    """What is given, and what the learning rate needs besides.

    Args:
        recipe: the `Recipe` of the run.
        retraining: the plan's.
        epochs: of this training.
        milestones: those given for it; None: the run's, moved with the epochs.
    """
    warmup, scaled = _scaled(recipe, epochs)
    own = {"warmup_epochs": warmup, **retraining}
    if _schedule(recipe, retraining) != "multistep":
        return {"gamma": Recipe.gamma, **own, "milestones": ()}
    own["milestones"] = scaled if milestones is None else milestones
    if not own["milestones"]:  # a training without a step has one rate
        own |= {"schedule": "constant", "gamma": Recipe.gamma}
    return own


def _schedule(recipe, retraining):
    return retraining.get("schedule", recipe.schedule)


def _check_lengths(own, epochs):
    """Refuses at once what the schedule would refuse hours later."""
    for name, last in (
        ("milestones", max(own["milestones"], default=0)),
        ("warmup_epochs", own["warmup_epochs"]),
    ):
        if last >= epochs:
            raise UserError(
                f"retrain_{name} must lie below the {epochs} epochs that it is "
                f"for. Received: retrain_{name}={last}"
            )


def _scaled(recipe, epochs):
    """Warm-up and milestones, moved with the number of epochs."""
    scale = epochs / recipe.epochs
    warmup = min(round(recipe.warmup_epochs * scale), epochs - 1)
    scaled = {round(milestone * scale) for milestone in recipe.milestones}
    return warmup, tuple(
        sorted(m for m in scaled if max(warmup, 1) <= m < epochs)
    )
