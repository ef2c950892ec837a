"""Learning rates, against written-out values."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.training import schedules

NAMES = ["constant", "cosine_epoch", "cosine_step", "multistep"]


def make(name, base=0.1, epochs=12, steps_per_epoch=3, **options):
    if name == "multistep":
        options.setdefault("milestones", (6, 9))
    return schedules.create(
        name, base, epochs=epochs, steps_per_epoch=steps_per_epoch, **options
    )


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_constant_is_the_base_rate():
    np.testing.assert_allclose(rates(make("constant"), [0, 5, 35, 99]), 0.1)


def test_cosine_epoch_is_constant_inside_an_epoch():
    got = rates(make("cosine_epoch"), range(36)).reshape(12, 3)
    expected = [0.1 * (1 + math.cos(math.pi * e / 12)) / 2 for e in range(12)]
    np.testing.assert_allclose(got, np.repeat(expected, 3).reshape(12, 3))


def test_cosine_epoch_is_torch_s_recursion():
    # CosineAnnealingLR's chained form, which its `step()` runs in eta_min 0.
    rate, expected = 0.1, []
    for e in range(1, 13):
        expected.append(rate)
        top = 1 + math.cos(math.pi * e / 12)
        rate *= top / (1 + math.cos(math.pi * (e - 1) / 12))
    np.testing.assert_allclose(
        rates(make("cosine_epoch"), range(0, 36, 3)), expected, rtol=1e-6
    )


def test_cosine_step_falls_at_every_step_and_ends_at_0():
    got = rates(make("cosine_step"), range(37))
    expected = [0.1 * (1 + math.cos(math.pi * t / 36)) / 2 for t in range(37)]
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert (np.diff(got) < 0).all()
    assert got[36] == pytest.approx(0, abs=1e-12)


def test_multistep_multiplies_at_the_start_of_each_milestone():
    got = rates(make("multistep", gamma=0.5), [0, 17, 18, 26, 27, 35, 99])
    expected = [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.025]
    np.testing.assert_allclose(got, expected)


def test_the_papers_recipe_ends_at_the_rate_in_its_log():
    schedule = make("cosine_epoch", epochs=1200, steps_per_epoch=391)
    last_epoch = 1199 * 391
    got = rates(schedule, [last_epoch, last_epoch + 390])
    np.testing.assert_allclose(got, 1.713e-7, rtol=3e-4)
    exact = 0.1 * (1 + math.cos(math.pi * 1199 / 1200)) / 2
    np.testing.assert_allclose(got, exact, rtol=1e-6)


@pytest.mark.parametrize("name", ["constant", "cosine_epoch", "multistep"])
def test_warm_up_by_epochs_is_linear_and_meets_the_curve(name):
    got = rates(make(name, warmup_epochs=5), range(0, 36, 3))
    np.testing.assert_allclose(got[:5], [0.02, 0.04, 0.06, 0.08, 0.1])
    after = {
        "constant": [0.1] * 7,
        # The paper's code: a cosine of epochs - 4 after 5 epochs of warm-up.
        "cosine_epoch": [
            0.1 * (1 + math.cos(math.pi * e / 8)) / 2 for e in range(1, 8)
        ],
        "multistep": [0.1] + [0.01] * 3 + [0.001] * 3,
    }[name]
    np.testing.assert_allclose(got[5:], after, rtol=1e-6)


def test_warm_up_by_steps_is_linear_and_meets_the_curve():
    got = rates(make("cosine_step", warmup_epochs=2), range(37))
    warm = [0.1 * (t + 1) / 6 for t in range(6)]
    curve = [0.1 * (1 + math.cos(math.pi * t / 31)) / 2 for t in range(1, 32)]
    np.testing.assert_allclose(got, warm + curve, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_one_unit_of_warm_up_is_none(name):
    epochs = range(36) if name != "cosine_step" else range(3, 36)
    got = rates(make(name, warmup_epochs=1), epochs)
    if name == "cosine_step":
        assert (np.diff(got) < 0).all()
    else:
        np.testing.assert_array_equal(got, rates(make(name), epochs))


@pytest.mark.parametrize("name", NAMES)
def test_after_the_run_the_rate_stays(name):
    ends = rates(make(name, warmup_epochs=2), [36, 37, 10_000])
    assert len(set(ends)) == 1


def test_steps_beyond_float32_are_told_apart():
    # 2**24 + 1 is not a float32: as one, both would fall into one epoch.
    schedule = make(
        "multistep", epochs=4, steps_per_epoch=2**24 + 1, milestones=(1,)
    )
    got = rates(schedule, [2**24, 2**24 + 1])
    np.testing.assert_allclose(got, [0.1, 0.01])
    long = make("cosine_epoch", epochs=30_000, steps_per_epoch=10_000)
    exact = 0.1 * (1 + math.cos(math.pi * 29_999 / 30_000)) / 2
    last = int(29_999e4)
    np.testing.assert_allclose(rates(long, [last]), exact, rtol=1e-6)
    assert float(long(last - 1)) > 2 * float(long(last))


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_step_gives_the_same_rate(name):
    schedule = make(name, warmup_epochs=3)
    inside = tf.function(schedule, jit_compile=True)
    for step in (0, 7, 8, 20, 35):
        rate = schedule(step)
        assert rate.dtype == "float32"
        for other in (
            schedule(tf.constant(step, "int64")),
            schedule(tf.constant(step, "int32")),
            schedule(keras.Variable(step, dtype="int64")),
            inside(tf.constant(step, "int64")),
        ):
            np.testing.assert_allclose(float(other), float(rate), rtol=2e-7)


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_comes_back_from_its_configuration(name):
    schedule = make(name, warmup_epochs=3)
    config = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(config)
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    np.testing.assert_array_equal(
        rates(again, range(36)), rates(schedule, range(36))
    )


@pytest.mark.parametrize(
    ("name", "options", "received"),
    [
        ("linear", {}, "schedule=linear"),
        ("constant", {"base": 0.0}, "learning_rate=0.0"),
        ("constant", {"base": float("nan")}, "learning_rate=nan"),
        ("constant", {"epochs": 0}, "epochs=0"),
        ("constant", {"epochs": 1.5}, "epochs=1.5"),
        ("constant", {"steps_per_epoch": 0}, "steps_per_epoch=0"),
        ("cosine_epoch", {"warmup_epochs": 12}, "warmup_epochs=12"),
        ("cosine_epoch", {"warmup_epochs": -1}, "warmup_epochs=-1"),
        ("cosine_epoch", {"milestones": (3,)}, "milestones=[3]"),
        ("multistep", {"milestones": ()}, "milestones=[]"),
        ("multistep", {"milestones": (6, 6)}, "milestones=[6, 6]"),
        ("multistep", {"milestones": (9, 6)}, "milestones=[9, 6]"),
        ("multistep", {"milestones": (6, 12)}, "milestones=[6, 12]"),
        ("multistep", {"milestones": (0, 6)}, "milestones=0"),
        (
            "multistep",
            {"milestones": (4,), "warmup_epochs": 5},
            "milestones=[4]",
        ),
        ("multistep", {"gamma": 0.0}, "gamma=0.0"),
    ],
)
def test_a_wrong_argument_is_one_line(name, options, received):
    with pytest.raises(UserError) as caught:
        make(name, **options)
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)
