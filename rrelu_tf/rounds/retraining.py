"""The trainings of a round, as recipes that start from the stripped model."""

import dataclasses

from rrelu_tf import seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.training.recipe import OF_THE_START, Recipe

# Fields that retraining may have of its own.
FIELDS = (
    *("batch_size", "optimizer", "learning_rate", "schedule"),
    *("warmup_epochs", "milestones", "gamma", "momentum", "weight_decay"),
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
    length, _ = _epochs(recipe, plan, number)
    changes = {"orthoreg": 0.0, "protocol": Recipe.protocol}
    return _made(recipe, plan, length, start, changes)


def ortho(recipe, plan, number, start):
    """The same of its training with OrthoReg, which has no weight decay.

    The factor is that given for retraining, or the run's, or that of
    `rrelu_tf.orthogonalize` by the plan's protocol, which is OrthoReg's, too.
    Milestones that are given for retraining and lie beyond its end are those
    of the plain training before it. Source: the authors' schedule of iterative
    pruning.
    """
    _, length = _epochs(recipe, plan, number)
    if not length:
        return None
    changes = {"orthoreg": _factor(recipe, plan), "protocol": plan.protocol}
    changes |= {"weight_decay": 0.0, "slope_decay": 1.0}
    changes |= _within(plan.retraining, length)
    return _made(recipe, plan, length, start, changes)


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


def _made(recipe, plan, epochs, start, changes):
    if not epochs:
        return None
    own = {name: getattr(Recipe, name) for name in _NOT_AGAIN}
    own |= _lengths(recipe, epochs) | plan.retraining
    if own.get("schedule", recipe.schedule) != "multistep":
        own |= {"gamma": Recipe.gamma}
        own |= {"milestones": plan.retraining.get("milestones", ())}
    if own.get("optimizer", recipe.optimizer) == "adam":
        own |= {"momentum": plan.retraining.get("momentum", Recipe.momentum)}
    own |= {"epochs": epochs, "start": str(start), **changes}
    _check_lengths(own, epochs)
    try:
        return dataclasses.replace(recipe, **own)
    except UserError as error:
        text = str(error)
        for name in plan.retraining:
            text = text.replace(f": {name}=", f": retrain_{name}=")
        raise UserError(text) from error


def _check_lengths(own, epochs):
    """Refuses at once what the schedule would refuse hours later."""
    for name, last in (
        ("milestones", max(own["milestones"], default=0)),
        ("warmup_epochs", own["warmup_epochs"]),
    ):
        if last >= epochs:
            raise UserError(
                f"retrain_{name} must lie below the {epochs} epochs of every "
                f"retraining. Received: retrain_{name}={own[name]}"
            )


def _within(retraining, epochs):
    """Changes where milestones are given for the longer, plain training."""
    given = retraining.get("milestones", ())
    kept = tuple(milestone for milestone in given if milestone < epochs)
    if kept == given:
        return {}
    if kept:
        return {"milestones": kept}
    return {"milestones": (), "schedule": "constant", "gamma": Recipe.gamma}


def _lengths(recipe, epochs):
    """Milestones and warm-up, which move with the number of epochs."""
    scale = epochs / recipe.epochs
    warmup = min(round(recipe.warmup_epochs * scale), epochs - 1)
    scaled = {round(milestone * scale) for milestone in recipe.milestones}
    milestones = sorted(m for m in scaled if max(warmup, 1) <= m < epochs)
    lengths = {"warmup_epochs": warmup, "milestones": tuple(milestones)}
    if recipe.schedule == "multistep" and not milestones:
        lengths["schedule"] = "constant"
    return lengths
