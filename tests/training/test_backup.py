"""Backup: the last whole epoch, in one file."""

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError

X = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")


def net(units=2):
    """A compiled model with an optimizer and a layer that have a state."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(units, name="dense"),
        ],
        name="net",
    )
    model.compile("adam", "mse")
    return model


def fit(model, folder, epochs):
    backup = rrelu_tf.Backup(folder)
    done = backup.restore(model)
    y = np.zeros((len(X), model.output_shape[-1]))
    model.fit(
        *(X, y),
        batch_size=8,
        initial_epoch=done,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[backup],
    )
    return done


def assert_same(a, b):
    for x, y in zip(
        a.variables + a.optimizer.variables,
        b.variables + b.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)


def test_training_goes_on_where_it_was(tmp_path):
    whole = net()
    assert fit(whole, tmp_path / "whole", 3) == 0
    assert fit(net(), tmp_path / "parts", 2) == 0
    parts = net()
    assert fit(parts, tmp_path / "parts", 3) == 2
    assert_same(parts, whole)
    again = net()
    assert fit(again, tmp_path / "parts", 3) == 3
    assert_same(again, whole)


def test_a_broken_file_is_passed_over(tmp_path, capsys):
    fit(net(), tmp_path, 3)
    last = max(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    whole = net()
    fit(whole, tmp_path / "other", 3)
    model = net()
    assert fit(model, tmp_path, 3) == 2
    assert last.name in capsys.readouterr().err
    assert_same(model, whole)


def test_a_model_that_has_no_state_or_another_is_one_line(tmp_path):
    backup = rrelu_tf.Backup(tmp_path)
    layers = [keras.layers.Dense(2)]
    bare = keras.Sequential([keras.Input((3,)), *layers], name="bare")
    with pytest.raises(UserError, match="compiled and built.*model=bare$"):
        backup.restore(bare)
    unbuilt = keras.Sequential([keras.layers.Dense(2)], name="unbuilt")
    unbuilt.compile("sgd", "mse")
    with pytest.raises(UserError, match="compiled and built.*model=unbuilt$"):
        backup.restore(unbuilt)
    fit(net(), tmp_path, 1)
    with pytest.raises(UserError, match="the same shapes"):
        backup.restore(net(units=4))
