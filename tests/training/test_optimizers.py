"""Coupled weight decay, against the written-out updates."""

import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import optimizers

RATES = [0.1, 0.1, 0.03, 0.007, 0.2]


class Listed(keras.optimizers.schedules.LearningRateSchedule):
    """Rate `rates[step]`."""

    def __init__(self, rates):
        self.rates = list(rates)

    def __call__(self, step):
        rates = keras.ops.convert_to_tensor(self.rates, "float32")
        return keras.ops.take(rates, step)


def written_out_sgd(w, gradients, rates, mu=0.0, wd=0.0, nesterov=False):
    """torch.optim.SGD's documented algorithm, in numpy."""
    v = np.zeros_like(w)
    for g, lr in zip(gradients, rates, strict=True):
        d = g + wd * w
        v = mu * v + d
        w = w - lr * (d + mu * v if nesterov else v)
    return w


def written_out_adam(w, gradients, rates, wd=0.0, eps=1e-8):
    """torch.optim.Adam's documented algorithm, in numpy."""
    m = np.zeros_like(w)
    v = np.zeros_like(w)
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        d = g + wd * w
        m = 0.9 * m + 0.1 * d
        v = 0.999 * v + 0.001 * d * d
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w


def drive(optimizer, start, gradients, dtype="float64"):
    """The weight after one step per gradient."""
    variable = keras.Variable(np.array(start), dtype=dtype)
    optimizer.build([variable])
    for gradient in gradients:
        gradient = keras.ops.convert_to_tensor(gradient, dtype)
        optimizer.apply([gradient], [variable])
    return variable.numpy()


def float32_rates():
    return np.float32(RATES).astype("float64")


def random_case(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 4)), rng.normal(size=(len(RATES), 3, 4))


@pytest.mark.parametrize(
    ("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)]
)
@pytest.mark.parametrize("decay", [0.0, 5e-3])
def test_sgd_in_float64_is_the_written_out_update(momentum, decay, nesterov):
    start, gradients = random_case()
    optimizer = optimizers.create(
        "sgd",
        Listed(RATES),
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=decay,
    )
    expected = written_out_sgd(
        start, gradients, float32_rates(), momentum, decay, nesterov
    )
    np.testing.assert_allclose(
        drive(optimizer, start, gradients), expected, rtol=1e-13
    )


@pytest.mark.parametrize("decay", [0.0, 5e-3])
@pytest.mark.parametrize("size", [1.0, 1e-7])
def test_adam_in_float64_is_the_written_out_update(decay, size):
    start, gradients = random_case()
    gradients *= size  # small ones show where the epsilon stands
    optimizer = optimizers.create("adam", Listed(RATES), weight_decay=decay)
    expected = written_out_adam(start, gradients, float32_rates(), decay)
    np.testing.assert_allclose(
        drive(optimizer, start, gradients), expected, rtol=1e-12
    )


def test_two_steps_of_sgd_give_the_numbers_worked_out_by_hand():
    # w=1, g=0.5 twice, lr 0.1 then 0.01, mu 0.9, wd 0.1:
    # v=0.6, w=1-0.06=0.94; v=0.54+0.5+0.094=1.134, w=0.94-0.01134=0.92866.
    # Keras's own SGD, with decay 0.1 past the momentum and the rate inside
    # the buffer: w=0.94, v=-0.05; w -= 0.00094, v=-0.05, w=0.88906.
    gradients = [[0.5], [0.5]]
    ours = optimizers.SGD(Listed([0.1, 0.01]), momentum=0.9, weight_decay=0.1)
    stock = keras.optimizers.SGD(
        Listed([0.1, 0.01]), momentum=0.9, weight_decay=0.1
    )
    np.testing.assert_allclose(
        drive(ours, [1.0], gradients), [0.92866], atol=1e-8
    )
    np.testing.assert_allclose(
        drive(stock, [1.0], gradients), [0.88906], atol=1e-8
    )


def test_two_steps_of_adam_give_the_numbers_worked_out_by_hand():
    # w=1, lr 0.1, wd 0. The first step is lr * g / (|g| + eps): with g=1e-8
    # half of lr, so 0.95. Then g=0: m=9e-10, v=9.99e-20, m_hat=9e-10/0.19,
    # v_hat=9.99e-20/0.001999, and w=0.95-0.1*m_hat/(sqrt(v_hat)+1e-8).
    gradients = [[1e-8], [0.0]]
    m_hat, root = 9e-10 / 0.19, (9.99e-20 / 0.001999) ** 0.5
    rate = float(np.float32(0.1))
    np.testing.assert_allclose(
        drive(optimizers.Adam(0.1), [1.0], gradients[:1]),
        [1 - rate / 2],
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        drive(optimizers.Adam(0.1), [1.0], gradients),
        [1 - rate / 2 - rate * m_hat / (root + 1e-8)],
        rtol=1e-12,
    )


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_float32_follows_float64(name):
    start, gradients = random_case()
    runs = [
        drive(
            optimizers.create(name, Listed(RATES), weight_decay=5e-3),
            start,
            gradients,
            dtype,
        )
        for dtype in ("float32", "float64")
    ]
    assert runs[0].dtype == np.float32
    np.testing.assert_allclose(*runs, atol=2e-6)


def test_a_weight_without_gradient_decays_geometrically():
    rate, decay, steps = 0.5, 0.1, 60
    optimizer = optimizers.create("sgd", rate, momentum=0, weight_decay=decay)
    end = drive(optimizer, [3.0], np.zeros((steps, 1)))
    np.testing.assert_allclose(end, 3.0 * (1 - rate * decay) ** steps)


def test_momentum_0_allocates_no_buffer():
    variable = keras.Variable(np.zeros((3, 4)))
    counts = []
    for momentum in (0.0, 0.9):
        optimizer = optimizers.SGD(0.1, momentum=momentum)
        optimizer.build([variable])
        counts.append(len(optimizer.variables))
    assert counts == [2, 3]  # iteration and learning rate; and the buffer


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.SGD(0.3, 0.8, True, 0.01, clipnorm=2.0, name="mine"),
        optimizers.Adam(0.3, 0.8, 0.95, 1e-5, 0.01, clipvalue=1.0),
    ],
)
def test_the_configuration_comes_back(optimizer):
    config = keras.optimizers.serialize(optimizer)
    assert config["registered_name"].startswith("rrelu_tf>")
    again = keras.optimizers.deserialize(config)
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["weight_decay"] == 0.01


def test_clipping_acts_before_the_decay():
    optimizer = optimizers.SGD(0.1, weight_decay=0.5, clipvalue=1.0)
    end = drive(optimizer, [10.0], [[7.0]])
    rate = float(np.float32(0.1))
    np.testing.assert_allclose(end, 10.0 - rate * (1.0 + 0.5 * 10.0))


def test_gradient_accumulation_decays_once_per_update():
    optimizer = optimizers.SGD(
        0.1, 0.9, weight_decay=0.5, gradient_accumulation_steps=2
    )
    end = drive(optimizer, [10.0], [[1.0], [3.0], [0.0], [2.0]])
    rate = float(np.float32(0.1))
    expected = written_out_sgd(
        np.array([10.0]), np.array([[2.0], [1.0]]), [rate] * 2, 0.9, 0.5
    )
    np.testing.assert_allclose(end, expected)


def test_excluded_weights_do_not_decay():
    kernel = keras.Variable(np.ones(2), name="kernel")
    bias = keras.Variable(np.ones(2), name="bias")
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build([kernel, bias])
    optimizer.apply([keras.ops.zeros(2)] * 2, [kernel, bias])
    np.testing.assert_allclose(kernel.numpy(), 0.75)
    np.testing.assert_array_equal(bias.numpy(), 1.0)


@pytest.mark.parametrize(
    ("name", "rate", "options", "received"),
    [
        ("rmsprop", 0.1, {}, "optimizer=rmsprop"),
        ("sgd", 0.0, {}, "learning_rate=0.0"),
        ("sgd", -1.0, {}, "learning_rate=-1.0"),
        ("adam", float("nan"), {}, "learning_rate=nan"),
        ("sgd", float("inf"), {}, "learning_rate=inf"),
        ("sgd", "fast", {}, "learning_rate=fast"),
        ("sgd", 0.1, {"momentum": 1.0}, "momentum=1.0"),
        ("sgd", 0.1, {"momentum": -0.1}, "momentum=-0.1"),
        ("sgd", 0.1, {"momentum": float("nan")}, "momentum=nan"),
        ("sgd", 0.1, {"momentum": 0, "nesterov": True}, "momentum=0"),
        ("adam", 0.1, {"nesterov": True}, "nesterov=True"),
        ("sgd", 0.1, {"weight_decay": -1e-4}, "weight_decay=-0.0001"),
        ("adam", 0.1, {"weight_decay": float("nan")}, "weight_decay=nan"),
        ("adam", 0.1, {"weight_decay": float("inf")}, "weight_decay=inf"),
    ],
)
def test_a_wrong_argument_is_one_line(name, rate, options, received):
    with pytest.raises(UserError) as caught:
        optimizers.create(name, rate, **options)
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"beta_1": 1.0}, {"beta_2": -0.1}, {"epsilon": 0.0}]
)
def test_adam_checks_its_own_arguments(options):
    with pytest.raises(UserError, match=next(iter(options))):
        optimizers.Adam(**options)
