"""How much of their time steps wait, by a clock that only the test moves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.training.input_wait import InputWait


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = tf.Variable(0.0, dtype=tf.float64)

    def __call__(self):
        return self.now.read_value()

    def move(self, seconds):
        self.now.assign_add(seconds)


class Step(keras.layers.Layer):
    """A layer that takes its time, in training."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def call(self, inputs, training=False):
        if training:
            self.clock.move(self.seconds)
        return inputs


@pytest.mark.parametrize(
    ("reading", "computing", "share"),
    [(3.0, 1.0, 0.75), (1.0, 3.0, 0.25), (1.0, 9.0, 0.1), (0.0, 1.0, 0.0)],
)
def test_the_share_of_slow_data_is_measured_and_told_once(
    reading, computing, share, capsys
):
    clock = Clock()

    def read(number):
        clock.move(reading)
        return tf.ones((2, 3)), tf.ones((2, 1))

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    data = tf.data.Dataset.range(100).map(read).with_options(options)
    model = keras.Sequential([Step(clock, computing), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    waiting = InputWait(clock)
    model.fit(
        *(data,),
        epochs=2,
        steps_per_epoch=8,
        verbose=0,
        shuffle=False,
        callbacks=[waiting],
    )
    assert waiting.share == pytest.approx(share)
    errors = capsys.readouterr().err
    if share < 0.2:
        assert not errors
    else:
        waited = reading * 8
        told = f"of epoch 1 steps spent {share:.0%} ({waited:.1f} s) waiting"
        assert errors.count("warning: ") == 1 and told in errors


def test_a_model_learns_what_it_learns_without():
    def weights(callbacks):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.random.default_rng(0).normal(size=(10, 3))
        data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(4)
        history = model.fit(
            data.repeat(),
            epochs=2,
            steps_per_epoch=3,
            verbose=0,
            shuffle=False,
            validation_data=data,
            callbacks=callbacks,
        )
        return model.get_weights(), history.history

    plain, timed = weights([]), weights([InputWait()])
    assert plain[1] == timed[1]
    for a, b in zip(plain[0], timed[0], strict=True):
        np.testing.assert_array_equal(a, b)
