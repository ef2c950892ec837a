"""Two-step training: slopes on random weights, then weights without slopes."""

import dataclasses
import signal

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints, phases, trainer
from rrelu_tf.training.interruption import Interrupted
from rrelu_tf.training.recipe import Recipe
from rrelu_tf.training.run_folder import Run

# TensorFlow's determinism cannot be switched off again for other tests.
RECIPE = Recipe(
    arch="resnet20",
    epochs=4,
    two_step_epochs=2,
    two_step_zeta=0.8,
    batch_size=512,
    learning_rate=0.05,
    weight_decay=5e-3,
    deterministic=False,
)


class StopAfter(keras.callbacks.Callback):
    """Sends SIGTERM when so many epochs are saved."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epochs:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """The run's folder, and its model after every epoch."""
    models = {}
    write = checkpoints.write

    def noting(folder, checkpoint):
        models[checkpoint.epoch] = checkpoint.model
        write(folder, checkpoint)

    path = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "write", noting)
        trainer.train(RECIPE, path)
    return Run.open(path), models


def by_name(run, arrays):
    names = [v.path for v in run.last().variables]
    return dict(zip(names, arrays, strict=True))


def kinds(arrays):
    """(slopes, trained weights, statistics) of a dict by path."""
    slopes = {k: v for k, v in arrays.items() if k.endswith("/slope")}
    moving = {k: v for k, v in arrays.items() if "/moving_" in k}
    rest = {k: v for k, v in arrays.items() if k not in slopes | moving}
    return slopes, rest, moving


def test_the_first_step_trains_the_slopes_alone(history):
    run, models = history
    before, after = (kinds(by_name(run, models[e])) for e in (0, 2))
    for name, value in before[1].items():
        np.testing.assert_array_equal(value, after[1][name], name)
    assert all((after[0][k] != v).any() for k, v in before[0].items())
    assert all((after[2][k] != v).any() for k, v in before[2].items())


def test_the_second_step_silences_and_freezes_them(history):
    run, models = history
    middle, end = (kinds(by_name(run, models[e])) for e in (2, 4))
    dead = 0
    for name, slope in middle[0].items():
        expected = np.where(np.abs(slope) > 0.8, slope, 0)
        np.testing.assert_array_equal(end[0][name], expected)
        dead += (expected == 0).sum()
    assert 0 < dead < sum(len(slope) for slope in middle[0].values())
    kernels = {k: v for k, v in middle[1].items() if k.endswith("/kernel")}
    assert all((end[1][k] != v).any() for k, v in kernels.items())


def test_each_step_has_a_schedule_of_its_own(history):
    run, _ = history
    rates = [
        row["learning_rate"]
        for row in checkpoints.latest(run.checkpoints).history
    ]
    assert rates == pytest.approx([0.05, 0.025, 0.05, 0.025])


def test_the_best_epoch_is_one_of_the_second_step(history):
    rows = [
        {"epoch": 1, "val_accuracy": 0.9, "step": 1},
        {"epoch": 2, "val_accuracy": 0.5, "step": 2},
        {"epoch": 3, "val_accuracy": 0.4, "step": 2},
    ]
    assert checkpoints.best_epoch(rows) == 2
    assert history[0].best_epoch in (3, 4)


@pytest.mark.parametrize(
    "epochs", [1, 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_one_command_goes_on_wherever_it_was_stopped(
    epochs, history, tmp_path, monkeypatch
):
    interrupting = StopAfter(epochs)
    monitoring = trainer.Monitoring
    monkeypatch.setattr(
        trainer,
        "Monitoring",
        lambda *given: keras.callbacks.CallbackList(
            [interrupting, monitoring(*given)]
        ),
    )
    with pytest.raises(Interrupted):
        trainer.train(RECIPE, tmp_path / "run")
    monkeypatch.setattr(trainer, "Monitoring", monitoring)
    trainer.train(RECIPE, tmp_path / "run")
    run, models = history
    again = checkpoints.latest(tmp_path / "run" / "checkpoints")
    for old, new in zip(models[4], again.model, strict=True):
        np.testing.assert_allclose(old, new, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "relu"}, "needs a rotated .* two_step_epochs=2$"),
        ({"epochs": 2}, "must end before .* two_step_epochs=2$"),
        ({"two_step_epochs": 0}, "give --two_step_epochs.*two_step_zeta=0.8$"),
        ({"two_step_epochs": -1}, "Received: two_step_epochs=-1$"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(RECIPE, **options)


def test_a_step_that_leaves_nothing_is_refused():
    net = rrelu_tf.models.create(
        "fcnn", num_classes=2, input_shape=(2, 2, 1), activation="rrelu"
    )
    trainable = list(net.trainable_variables)
    second = phases.Phase(1, 2, 2, zeta=5.0)
    with pytest.raises(UserError, match="Received: two_step_zeta=5.0$"):
        second.prepare(net, trainable)
    frozen = [v for v in trainable if v.name != "slope"]
    with pytest.raises(UserError, match="of step 1 are frozen"):
        phases.Phase(0, 1, 1).prepare(net, frozen)


def test_a_model_without_slopes_is_refused():
    i = keras.Input((2,))
    model = keras.Model(i, keras.layers.Dense(2)(i), name="plain")
    phase = phases.of(RECIPE)[0]
    with pytest.raises(UserError, match="Received: model=plain$"):
        phase.prepare(model, model.trainable_variables)
