"""How a round retrains: the run's recipe, but for what is given."""

import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.rounds import retraining
from rrelu_tf.rounds.plan import Plan
from rrelu_tf.training.recipe import Recipe

FILE = "small.keras"


def plan(*epochs, milestones=(), **fields):
    return Plan(
        sparsity=0.5,
        rounds=max(len(epochs), len(milestones), 1),
        retrain_epochs=epochs,
        retrain_milestones=milestones,
        retraining=fields,
    )


def test_the_runs_recipe_is_retrained_by():
    run = Recipe(arch="vgg13", activation="relu", epochs=7, weight_decay=3e-4)
    found = retraining.plain(run, plan(), 1, FILE)
    assert (found.epochs, found.weight_decay, found.start) == (7, 3e-4, FILE)
    assert found.arch == Recipe.arch  # that of the start
    assert retraining.ortho(run, plan(), 1, FILE) is None


def test_what_is_given_takes_the_recipes_place():
    given = plan("2", learning_rate=0.01, schedule="constant", batch_size=32)
    found = retraining.plain(Recipe(), given, 1, FILE)
    assert (found.learning_rate, found.batch_size) == (0.01, 32)
    assert (found.schedule, found.epochs) == ("constant", 2)


def test_plain_retraining_has_no_orthoreg_and_the_second_no_decay():
    run = Recipe(orthoreg=0.02, slope_decay=2.0)
    both = plan("3+4")
    first = retraining.plain(run, both, 1, FILE)
    second = retraining.ortho(run, both, 1, FILE)
    assert (first.epochs, first.orthoreg) == (3, 0.0)
    assert (first.weight_decay, first.slope_decay) == (5e-4, 2.0)
    assert (second.epochs, second.orthoreg) == (4, 0.02)
    assert second.weight_decay == 0.0
    only = plan("0+4")
    assert retraining.plain(run, only, 1, FILE) is None
    assert retraining.ortho(Recipe(), only, 1, FILE).orthoreg == 0.01


def test_the_second_training_is_by_the_plans_protocol_and_factor():
    def second(arch, protocol, **own):
        given = Plan(
            sparsity=0.5,
            protocol=protocol,
            retrain_epochs=("1+1",),
            retraining=own,
        )
        retraining.check(Recipe(arch=arch), given)
        found = retraining.ortho(Recipe(arch=arch), given, 1, FILE)
        return found.protocol, found.orthoreg

    assert second("vgg13", "seed") == ("seed", 0.01)
    assert second("mobilenet_v1", "seed") == ("seed", 0.001)
    assert second("mobilenet_v1", "correct") == ("correct", 0.01)
    assert second("resnet20", "seed", orthoreg=0.5) == ("seed", 0.5)
    with pytest.raises(UserError, match="Received: model=resnet20"):
        second("resnet20", "seed")
    started = Recipe(start="net.keras")
    given = Plan(sparsity=0.5, protocol="seed", retrain_epochs=("1+1",))
    with pytest.raises(UserError, match="Received: start=net.keras"):
        retraining.check(started, given)


@pytest.mark.parametrize(
    ("epochs", "factor"), [("40", 0.5), ("40+20", 0.0), ("0", 0.5)]
)
def test_a_factor_that_no_training_would_have_is_refused(epochs, factor):
    with pytest.raises(UserError, match=f"retrain_orthoreg={factor}$"):
        retraining.check(Recipe(), plan(epochs, orthoreg=factor))


def test_milestones_and_warm_up_move_with_the_epochs():
    run = Recipe(
        epochs=160, schedule="multistep", milestones=(80, 120), warmup_epochs=8
    )
    found = retraining.plain(run, plan("40"), 1, FILE)
    assert (found.milestones, found.warmup_epochs) == ((20, 30), 2)
    short = retraining.plain(run, plan("1"), 1, FILE)
    assert (short.schedule, short.milestones) == ("constant", ())


def test_each_training_of_each_round_has_milestones_of_its_own():
    # The authors' iterative OrthoReg (facts/orthoreg.md, 3).
    run = Recipe(epochs=25, orthoreg=0.01)
    given = plan(
        *("80+25", "80+25", "100"),
        milestones=("35,70+24", "35,70+24", "40,80"),
        schedule="multistep",
    )
    retraining.check(run, given)
    for number, wanted in ((1, (35, 70)), (2, (35, 70)), (3, (40, 80))):
        found = retraining.plain(run, given, number, FILE)
        assert (found.schedule, found.milestones) == ("multistep", wanted)
    for number in (1, 2):
        found = retraining.ortho(run, given, number, FILE)
        assert (found.schedule, found.milestones) == ("multistep", (24,))
    assert retraining.ortho(run, given, 3, FILE) is None


def test_a_training_without_a_milestone_keeps_its_rate():
    run = Recipe(epochs=8, orthoreg=0.01)
    fields = {"schedule": "multistep", "gamma": 0.5}
    given = plan("8+4", milestones=("3,6",), **fields)
    assert retraining.plain(run, given, 1, FILE).milestones == (3, 6)
    second = retraining.ortho(run, given, 1, FILE)
    assert (second.schedule, second.milestones) == ("constant", ())
    given = plan("8+4", milestones=("+2",), **fields)
    assert retraining.plain(run, given, 1, FILE).schedule == "constant"
    assert retraining.ortho(run, given, 1, FILE).milestones == (2,)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"milestones": ("2",)}, "cosine_epoch"),
        ({"schedule": "multistep"}, "multistep"),
    ],
)
def test_milestones_and_their_schedule_go_together(options, received):
    with pytest.raises(UserError, match=f"retrain_schedule={received}$"):
        retraining.check(Recipe(), plan("4", **options))


def test_another_schedule_or_optimizer_drops_what_was_for_the_runs():
    run = Recipe(
        epochs=4, schedule="multistep", milestones=(2,), gamma=0.5, momentum=0.8
    )
    given = plan("4", schedule="constant", optimizer="adam")
    found = retraining.plain(run, given, 1, FILE)
    assert (found.milestones, found.gamma) == ((), Recipe.gamma)
    assert found.momentum == Recipe.momentum


@pytest.mark.parametrize(
    "options",
    [
        {"two_step_epochs": 2, "two_step_zeta": 0.1},
        {"early_bird": "distance", "early_bird_score": "l1"},
    ],
)
def test_what_came_before_pruning_is_not_repeated(options):
    run = Recipe(epochs=5, **options)
    found = retraining.plain(run, plan("1"), 1, FILE)
    assert (found.two_step_epochs, found.early_bird) == (0, "none")


def test_a_bad_choice_is_called_by_its_flag():
    given = plan("1", learning_rate=-1.0)
    with pytest.raises(UserError, match="Received: retrain_learning_rate=-1.0"):
        retraining.check(Recipe(), given)


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "multistep", "milestones": ("2,4",)},
        {"warmup_epochs": 4},
    ],
)
def test_what_a_round_is_too_short_for_is_refused_at_once(fields):
    long = plan("5", **fields)
    retraining.check(Recipe(), long)
    with pytest.raises(UserError, match="the 4 epochs that it is for"):
        retraining.check(Recipe(), plan("4", **fields))
