"""The callbacks, each in a `fit` of a tiny network."""

import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf import layers
from rrelu_tf.errors import UserError
from rrelu_tf.training.finite_loss import FiniteLoss
from rrelu_tf.training.interruption import Interrupted, Interruption
from rrelu_tf.training.measuring import Measuring
from rrelu_tf.training.monitoring import Monitoring
from rrelu_tf.training.progress import Progress
from rrelu_tf.training.saving import Saving


def tiny_model():
    rotated = layers.RReLU(name="turned")
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), rotated]
    )
    rotated.slope.assign([0.05, -0.2, 0.1])
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[accuracy])
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, *callbacks, y=None, **options):
    x = np.ones((12, 4), "float32")
    y = np.ones((12, 3), "float32") if y is None else y
    options = {"batch_size": 4, "shuffle": False, "verbose": 0} | options
    return model.fit(x, y, callbacks=list(callbacks), **options)


def test_a_nan_loss_stops_at_its_step():
    y = np.ones((12, 3), "float32")
    y[9] = np.nan
    with pytest.raises(UserError, match="epoch 1, step 3;.*loss=nan$"):
        fit(tiny_model(), FiniteLoss(), y=y)


def test_measuring_takes_the_rate_of_the_epochs_last_step():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [2, 5], [1.0, 0.5, 0.25]
    )
    logs = fit(tiny_model(), Measuring(schedule, 0.1), epochs=2).history
    # Steps 0-2, then 3-5.
    assert logs["learning_rate"] == [1.0, 0.5]
    assert all(value > 0 for value in logs["seconds"] + logs["cpu_seconds"])


def test_slopes_alive_are_those_strictly_above_zeta():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([9], [0.1] * 2)
    zeta = float(np.float32(0.1))
    logs = fit(tiny_model(), Measuring(schedule, zeta)).history
    assert logs["slopes_alive"] == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_at_the_next_batch(number):
    steps = []
    raise_it = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: (
            steps.append(step),
            os.kill(os.getpid(), number) if step == 1 else None,
        )
    )
    before = signal.getsignal(number)
    with Interruption() as interruption, pytest.raises(Interrupted) as stop:
        fit(tiny_model(), raise_it, interruption, epochs=3)
    assert steps == [0, 1]
    assert stop.value.signal == number
    assert signal.getsignal(number) == before


def events(folder):
    for file in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            yield tf.compat.v1.Event.FromString(record.numpy())


def test_tensorboard_gets_scalars_histograms_and_the_graph(tmp_path):
    fit(tiny_model(), Monitoring(tmp_path, 0.07, True), epochs=2)
    seen, graphs = {}, []
    for event in events(tmp_path):
        graphs += [event.graph_def] if event.graph_def else []
        for value in event.summary.value:
            array = tf.make_ndarray(value.tensor)
            seen.setdefault(value.tag, []).append((event.step, array))
    assert [step for step, _ in seen["epoch/loss"]] == [1, 2]
    assert [int(a) for _, a in seen["slopes_alive/turned"]] == [2, 2, 2]
    # Rows of a histogram: left edge, right edge, count.
    assert sum(seen["slopes/turned"][0][1][:, 2]) == 3
    graph = tf.compat.v1.GraphDef.FromString(graphs[0])
    assert any("images" in node.name for node in graph.node)


@pytest.mark.parametrize("begins", [True, False])
def test_tensorboard_gets_degrees_of_orthogonality(begins, tmp_path):
    i = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 2, name="conv")(i)
    model = keras.Model(i, keras.layers.GlobalAveragePooling2D()(x))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    images, targets = np.ones((4, 4, 4, 2)), np.ones((4, 3))
    callback = rrelu_tf.OrthogonalitySummaries(tmp_path, begins=begins)
    model.fit(images, targets, epochs=2, verbose=0, callbacks=[callback])
    found = {
        event.step: float(tf.make_ndarray(value.tensor))
        for event in events(tmp_path)
        for value in event.summary.value
        if value.tag == "orthogonality/conv"
    }
    degree = rrelu_tf.analysis.orthogonality(model)["conv"]
    steps = [0, 1, 2] if begins else [1, 2]
    assert found == pytest.approx(dict.fromkeys(steps, degree))


def test_without_a_terminal_each_epoch_is_one_line(capsys):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([9], [0.1] * 2)
    progress = Progress(epochs=3, first_epoch=1, steps_per_epoch=3)
    measuring = Measuring(schedule, 0.1)
    with progress:
        fit(tiny_model(), measuring, progress, epochs=3, initial_epoch=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 2/3", "epoch 3/3"]
    assert lines[-1].endswith("left 0:00:00")


def test_weights_that_are_not_finite_are_never_saved():
    model = tiny_model()
    model.layers[-1].slope.assign([1.0, np.inf, 1.0])
    saving = Saving(run=None, history=[{"epoch": 1}])
    saving.set_model(model)
    with pytest.raises(UserError, match="did not in epoch 1"):
        saving.save()
