import keras
import numpy as np
import pytest

from rrelu_tf.analysis import latency
from rrelu_tf.errors import UserError

BATCH = np.ones((4, 3), "float32")


def work(rounds):
    """A call of which the CPU time is in proportion to `rounds`."""

    def call(batch):
        total = 0
        for number in range(rounds):
            total += number
        return batch

    return call


def test_twice_the_work_takes_twice_the_cpu_time():
    measured = latency.compare(work(100_000), work(200_000), BATCH)
    assert measured.cpu_ratio == pytest.approx(2, rel=0.25)
    assert 0 < measured.before.cpu_ms < measured.after.cpu_ms


def test_partners_take_turns_and_each_goes_first_in_half_of_the_rounds():
    calls = []

    def named(name):
        def call(batch):
            calls.append(name)
            return batch

        return call

    latency.compare(named("a"), named("b"), BATCH, repeats=4, warmup=1)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab" + "ba"


def test_sleep_is_wall_clock_and_not_cpu_time():
    import time

    def call(batch):
        time.sleep(0.02)
        return batch

    measured = latency.measure(call, BATCH, repeats=3, warmup=0)
    assert measured.wall_ms >= 20
    assert measured.cpu_ms < 10


def test_a_model_is_measured_in_inference_mode():
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, inputs, training=None):
            seen.append(training)
            return inputs

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Spy()(inputs))
    seen.clear()
    measured = latency.measure(model, BATCH, repeats=5)
    assert seen == [False], "traced once, not run eagerly"
    assert measured.batch_size == 4


def test_no_repeats_is_one_line():
    with pytest.raises(UserError, match="Received: repeats=0$"):
        latency.measure(work(1), BATCH, repeats=0)
