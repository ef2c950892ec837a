import functools

import keras
import pytest

from rrelu_tf import layers
from rrelu_tf.analysis.step_cost import Device, exchanged, step_cost


def net():
    """A convolution, a norm, an activation and a sum, 4 x 4 of 3 to 8."""
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    y = layers.RReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Add()([x, y]))


def test_operations_bytes_and_launches_are_those_counted_by_hand():
    cost = step_cost(net(), 2)
    taken, made, kernel = 2 * 16 * 3, 2 * 16 * 8, 9 * 3 * 8
    assert cost.flops == 3 * 2 * (2 * 16 * kernel)
    convolution = 3 * (taken + made + kernel)
    norm, activation, added = 8 * made, 11 * made, 2 * 2 * made + 3 * made
    trained = kernel + 8 + 8 + 8  # gamma, beta, slopes
    elements = convolution + norm + activation + added
    assert cost.bytes == 4 * elements + 5 * 4 * trained
    assert cost.launches == 3 + 2 + 2 + 2 + 4
    assert cost.gradient_bytes == 4 * trained


@pytest.mark.parametrize("padded", [True, False])
def test_slopes_that_a_convolution_takes_leave_the_rectifier(padded):
    def cost(kind, other=False):
        inputs = keras.Input((4, 4, 3))
        x = rotated = layers.RReLU()(layers.BatchNormalization()(inputs))
        x = layers.ZeroPadding2D(1)(x) if padded else x
        x = kind(3, 3, padding="valid" if padded else "same")(x)
        outputs = [x, rotated] if other else x
        return step_cost(keras.Model(inputs, outputs), 2).bytes

    made = 2 * 16 * 3
    stock, taken = cost(keras.layers.Conv2D), cost(layers.Conv2D)
    assert stock - taken == 4 * made * (4 + 7 - 2 - 3)
    assert cost(layers.Conv2D, other=True) == stock
    plain = functools.partial(layers.Conv2D, fused=False)
    assert cost(plain) == stock


def test_fusing_leaves_the_operations_and_saves_passes_and_launches():
    plain, fused = step_cost(net(), 2), step_cost(net(), 2, fused=True)
    assert fused.flops == plain.flops
    made = 2 * 16 * 8
    # The activation's 11 passes, and the sum's but for its other input.
    assert plain.bytes - fused.bytes == 4 * made * (11 + 6)
    assert plain.launches - fused.launches == 4


def test_the_largest_bound_is_the_step():
    cost = step_cost(net(), 2)
    slow = {"flops": 1e3, "bandwidth": 1e3, "launch": 1.0}
    for bound, speed in (
        ("products", {**slow, "bandwidth": 1e12, "launch": 0.0}),
        ("memory", {**slow, "flops": 1e12, "launch": 0.0}),
        ("launches", {"flops": 1e12, "bandwidth": 1e12, "launch": 1.0}),
    ):
        found = cost.seconds(Device(**speed))
        assert found["bound"] == bound
        assert found["step"] == found[bound] > 0


def test_an_exchange_counts_where_the_backward_pass_does_not_hide_it():
    cost = step_cost(net(), 2)
    device = Device(1e6, 1e9, 0.0, link=1e9, efficiency=(1, 1))
    alone = cost.seconds(device)
    assert cost.seconds(device, 8)["step"] == alone["step"]  # hidden
    slow = Device(1e6, 1e9, 0.0, link=1.0, efficiency=(1, 1))
    eight = cost.seconds(slow, 8)
    assert eight["exchange"] == pytest.approx(2 * 7 / 8 * cost.gradient_bytes)
    exposed = eight["exchange"] - 2 / 3 * alone["step"]
    assert eight["step"] == pytest.approx(alone["step"] + exposed)
    assert eight["bound"] == "exchange"
    measured = exchanged(alone["step"], cost.gradient_bytes, slow.link, 8)
    assert measured == (eight["exchange"], eight["step"])
    assert exchanged(3.0, 40, 10.0, 1) == (0.0, 3.0)
    assert exchanged(3.0, 40, 10.0, 2) == (4.0, 3.0 + 4.0 - 2.0)
