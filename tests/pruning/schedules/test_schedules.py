import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.pruning import schedules
from rrelu_tf.pruning.schedules import ConstantSparsity, PolynomialDecay


def turns(schedule, steps=30):
    return [n for n in range(steps) if schedules.asked(schedule, n)[0]]


def test_the_sparsity_grows_along_the_polynomial():
    schedule = PolynomialDecay(0.1, 0.9, 10, 20, power=2)
    for step, expected in ((0, 0.1), (10, 0.1), (15, 0.7), (20, 0.9)):
        _, sparsity = schedules.asked(schedule, step)
        assert sparsity == pytest.approx(expected)
    assert schedules.asked(schedule, 99)[1] == np.float32(0.9)
    assert schedules.peak(schedule) == 0.9


def test_turns_come_every_few_steps_between_begin_and_end():
    assert turns(PolynomialDecay(0, 0.5, 4, 14, frequency=5)) == [4, 9, 14]
    assert turns(ConstantSparsity(0.5, 7, frequency=10)) == [7, 17, 27]
    assert turns(ConstantSparsity(0.5, 2, 5, frequency=2)) == [2, 4]


@pytest.mark.parametrize(
    "schedule",
    [
        ConstantSparsity(0.5, 3, 9, 2),
        PolynomialDecay(0.1, 0.5, 3, 9, 1.5, 2),
    ],
)
def test_a_configuration_makes_the_schedule_again(schedule):
    config = schedule.get_config()
    assert set(config) == {"class_name", "config"}
    again = schedules.get(config)
    assert type(again) is type(schedule)
    assert vars(again) == vars(schedule)
    assert schedules.get(schedule) is schedule


@keras.saving.register_keras_serializable(package="tests")
class Own(schedules.PruningSchedule):
    def __init__(self, sparsity=0.25):
        self.sparsity = sparsity

    def __call__(self, step):
        return True, self.sparsity

    def get_config(self):
        return {"sparsity": self.sparsity}


def test_a_registered_schedule_of_ones_own_is_found_again():
    config = schedules.serialize(Own(0.125))
    assert config == {"class_name": "tests>Own", "config": {"sparsity": 0.125}}
    assert schedules.get(config).sparsity == 0.125


class Listed(Own):
    def __call__(self, step):
        return step in {1, 3}, self.sparsity


def test_a_schedule_of_ones_own_is_given_an_int():
    assert turns(Listed()) == [1, 3]


def test_what_a_schedule_of_ones_own_returns_is_checked():
    assert schedules.asked(Own(), 5) == (True, np.float32(0.25))
    with pytest.raises(UserError, match=r"\[0, 1\).*Own at step 5=1.0"):
        schedules.asked(Own(1.0), 5)


@keras.saving.register_keras_serializable("tests")
class Slower(keras.layers.Layer):
    pass


class Alone(Own):
    def __call__(self, step):
        return self.sparsity


@pytest.mark.parametrize("said", [0.5, None, (True, "half"), (True, 0.5, 1)])
def test_a_schedule_that_returns_no_pair_is_one_line(said):
    with pytest.raises(UserError, match=r"\(bool, float\)") as caught:
        schedules.asked(Alone(said), 5)
    assert str(caught.value).endswith(f"Received: Alone at step 5={said!r}")


@pytest.mark.parametrize("sparsity", ["0.5", 1.5])
def test_the_rule_says_that_a_sparsity_is_a_number(sparsity):
    rule = r"must be a number in \[0, 1\)\. Received: \w+="
    with pytest.raises(UserError, match=f"^target_sparsity {rule}"):
        ConstantSparsity(sparsity, 0)
    with pytest.raises(UserError, match=f"^initial_sparsity {rule}"):
        PolynomialDecay(sparsity, 0.5, 0, 8)


@pytest.mark.parametrize(
    ("made", "received"),
    [
        (lambda: ConstantSparsity(1.0, 0), "target_sparsity=1.0"),
        (lambda: ConstantSparsity(-0.1, 0), "target_sparsity=-0.1"),
        (lambda: ConstantSparsity("half", 0), "target_sparsity='half'"),
        (lambda: ConstantSparsity(0.5, -1), "begin_step=-1"),
        (lambda: ConstantSparsity(0.5, 0.5), "begin_step=0.5"),
        (lambda: ConstantSparsity(0.5, 0, -2), "end_step=-2"),
        (lambda: ConstantSparsity(0.5, 9, 8), "begin_step=9, end_step=8"),
        (lambda: ConstantSparsity(0.5, 0, 8, 0), "frequency=0"),
        (lambda: PolynomialDecay(1, 0.5, 0, 8), "initial_sparsity=1"),
        (lambda: PolynomialDecay(0, 1.5, 0, 8), "final_sparsity=1.5"),
        (lambda: PolynomialDecay(0, 0.5, 8, 7), "begin_step=8, end_step=7"),
        (lambda: PolynomialDecay(0, 0.5, 8, 8), "begin_step=8, end_step=8"),
        (lambda: PolynomialDecay(0, 0.5, 0, -1), "begin_step=0, end_step=-1"),
        (lambda: PolynomialDecay(0, 0.5, 0, 8, 0), "power=0"),
        (lambda: schedules.get("polynomial"), "pruning_schedule=polynomial"),
        (lambda: PolynomialDecay("0", 0.5, 0, 8), "initial_sparsity='0'"),
        (lambda: PolynomialDecay(0, "0.5", 0, 8), "final_sparsity='0.5'"),
        (lambda: schedules.get(ConstantSparsity), "ConstantSparsity'>"),
        (
            lambda: schedules.get(
                keras.optimizers.schedules.PolynomialDecay(0.0, 9)
            ),
            "pruning_schedule=PolynomialDecay",
        ),
        (
            lambda: schedules.get({"class_name": [], "config": {}}),
            "class_name=[]",
        ),
        (
            lambda: schedules.get(
                {"class_name": "tests>Slower", "config": {"name": "slower"}}
            ),
            "pruning_schedule=Slower",
        ),
        (lambda: schedules.get(len), "builtin_function_or_method"),
        (lambda: schedules.get({"name": 1}), "{'name': 1}"),
        (
            lambda: schedules.get({"class_name": "Cosine", "config": {}}),
            "class_name=Cosine",
        ),
        (
            lambda: schedules.get(
                {"class_name": "ConstantSparsity", "config": {"half": 1}}
            ),
            "config={'half': 1}",
        ),
        (
            lambda: schedules.get(
                {"class_name": "ConstantSparsity", "config": "abc"}
            ),
            "config=abc",
        ),
    ],
)
def test_a_wrong_argument_is_one_line(made, received):
    with pytest.raises(UserError) as caught:
        made()
    assert str(caught.value).endswith(received)
    assert "\n" not in str(caught.value)
