"""A run's early-bird ticket: where it stops, and what that saves."""

from rrelu_tf import scoring
from rrelu_tf.errors import UserError
from rrelu_tf.pruning import EarlyBird
from rrelu_tf.training import scored_examples
from rrelu_tf.training.recipe import QUEUE

FILE = "early_bird.json"
_SAMPLES = 10_000  # the most training images that a score is computed from


def check(recipe):
    """Refuses a score that there is not.

    Raises:
        UserError: naming those that there are.
    """
    known = scoring.methods()
    if recipe.early_bird_score not in known:
        raise UserError(
            f"early_bird_score must be one of {', '.join(known)}. "
            f"Received: early_bird_score={recipe.early_bird_score}"
        )


def create(run, model, data):
    """The callback that draws a run's ticket; None for a run without one.

    It stops training at the draw, and keeps its masks in the run's folder.
    Scores by gradients get training data, without augmentation.
    """
    recipe = run.recipe
    if recipe.early_bird == "none":
        return None
    fixed = recipe.early_bird == "fixed"
    found = EarlyBird(
        recipe.early_bird_score,
        sparsity=recipe.early_bird_sparsity,
        data=scored_examples.of(
            data, recipe.early_bird_score, _SAMPLES, recipe.protocol
        ),
        samples=_SAMPLES,
        at=recipe.early_bird_epochs if fixed else None,
        queue=QUEUE,
        stop=True,
        examples=data.train_size,
        backup=run.path / FILE,
        protocol=recipe.ortho_protocol,
    )
    found.set_model(model)
    found.set_params({"epochs": recipe.epochs})
    return found


def resume(early_bird, run, done):
    """Takes up the masks of the epochs that are done.

    Returns:
        Whether the ticket is drawn, and the run ends here.

    Raises:
        UserError: masks that are missing, or of something else.
    """
    found = set(early_bird.resume(done))
    due = {e for e in range(1, done + 1) if early_bird.draws_after(e)}
    if not due <= found:
        raise UserError(
            f"{FILE} must hold the masks of the {done} epochs done, and lacks "
            f"that of epoch {min(due - found)}; delete the run folder to start "
            f"again. Received: run={run.path}"
        )
    return early_bird.epoch is not None


def tell(early_bird):
    """Prints what became of the ticket."""
    found = early_bird.summary()
    if found["epoch"] is None:
        print(
            f"no early-bird ticket in {found['planned_epochs']} epochs: the "
            f"masks did not settle ({found['rule']})"
        )
        return
    print(
        f"early-bird ticket after epoch {found['epoch']} of "
        f"{found['planned_epochs']}: {found['training_flops_saved']:.3g} of "
        f"{found['training_flops']:.3g} training FLOPs saved; prune it with "
        f"bin/prune --score={found['score']} --sparsity={found['sparsity']:g}"
    )
