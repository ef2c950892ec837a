"""Two replicas compute what one does; each replicated run has its process."""

import json
import sys

import child
import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.layers import (
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    RReLU,
    ZeroPadding2D,
)
from rrelu_tf.training import optimizers, schedules, strategy


def net(kind):
    """A tiny conv net: "plain", "synchronized" or "separate" batch norm."""
    norm = []
    if kind != "plain":
        norm = [BatchNormalization(synchronized=kind == "synchronized")]
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3),
            *norm,
            RReLU(slope_regularizer=keras.regularizers.L1(1e-3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


def fitted(kind, size, where, over_global_batch):
    """Weights and losses of 3 epochs of `size` examples in batches of 8."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(size, 6, 6, 2)), rng.integers(0, 3, size)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    keras.utils.set_random_seed(1)
    with where.scope():
        model = net(kind)
        steps = -(-size // 8)
        rate = schedules.create(
            "cosine_step", 0.5, epochs=3, steps_per_epoch=steps
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if over_global_batch:
            loss = strategy.GlobalBatchLoss(loss)
        model.compile(
            optimizers.create("sgd", rate, nesterov=True, weight_decay=0.02),
            loss,
            metrics=["accuracy"],
        )
    start = [w.numpy() for w in model.weights]
    history = model.fit(batches, epochs=3, verbose=0).history
    return start, [w.numpy() for w in model.weights], history


def compare(kind, size, over_global_batch):
    """Runs on two replicas and on one; how far apart they end."""
    mirrored = strategy.create("mirrored", virtual_devices=2)
    keras.config.set_floatx("float64")
    # Before the strategy's collectives are at work, on one device.
    start, alone, log = fitted(
        kind, size, strategy.create("none"), over_global_batch
    )
    _, together, replicated_log = fitted(
        kind, size, mirrored, over_global_batch
    )
    return {
        "replicas": mirrored.num_replicas_in_sync,
        "apart": distance(alone, together),
        "moved": distance(alone, start),
        "losses": [log["loss"], replicated_log["loss"]],
        "accuracies": [log["accuracy"], replicated_log["accuracy"]],
    }


def fused_and_plain():
    """How far apart replicas with fused and with plain layers end."""
    mirrored = strategy.create("mirrored", virtual_devices=2)
    ends = []
    for fused in (True, False):
        with mirrored.scope():
            keras.utils.set_random_seed(1)
            x = inputs = keras.Input((6, 6, 2))
            for _ in range(2):
                x = Conv2D(4, 3, use_bias=False, fused=fused)(x)
                x = RReLU(fused=fused)(BatchNormalization(fused=fused)(x))
                x = RReLU(fused=fused)(x)
            x = DepthwiseConv2D(2, fused=fused)(ZeroPadding2D(1)(x))
            x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
            model = keras.Model(inputs, x)
            model.compile(keras.optimizers.SGD(0.1), "mse")
        start = [w.numpy() for w in model.weights]
        rng = np.random.default_rng(0)
        data = rng.normal(size=(16, 6, 6, 2)), rng.normal(size=(16, 3))
        model.fit(*data, batch_size=8, shuffle=False, verbose=0)
        ends.append([w.numpy() for w in model.weights])
    return {"apart": distance(*ends), "moved": distance(ends[0], start)}


def distance(a, b):
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


def in_a_process(*arguments):
    """What `compare` returns, from a fresh process."""
    return child.result(child.piped(__file__, json.dumps(arguments)))


@pytest.mark.parametrize(
    ("kind", "size", "over_global_batch"),
    [
        ("plain", 21, True),  # a last batch of 5: 3 here, 2 there
        ("synchronized", 21, True),
    ],
)
def test_two_replicas_equal_one(kind, size, over_global_batch):
    result = in_a_process(kind, size, over_global_batch)
    assert result["replicas"] == 2
    assert result["moved"] > 0.1
    assert result["apart"] < 1e-12
    np.testing.assert_allclose(*result["losses"], rtol=1e-12)
    np.testing.assert_allclose(*result["accuracies"], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "size", "over_global_batch"),
    [
        ("separate", 20, True),  # statistics of each replica's share
        ("plain", 21, False),  # Keras's own mean of an uneven batch
    ],
)
def test_two_replicas_differ_from_one_where_the_docstring_says(
    kind, size, over_global_batch
):
    assert in_a_process(kind, size, over_global_batch)["apart"] > 1e-3


def test_without_gpus_auto_is_the_default_strategy():
    if len(tf.config.list_physical_devices("GPU")) > 1:
        pytest.skip("auto is mirrored on this machine")
    for name in ("auto", "none"):
        assert strategy.create(name) is tf.distribute.get_strategy()


def test_the_global_batch_loss_is_its_loss_on_one_device():
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    wrapped = strategy.GlobalBatchLoss(loss)
    again = keras.losses.deserialize(keras.losses.serialize(wrapped))
    truth, guess = np.eye(3), np.full((3, 3), 1 / 3)
    for other in (wrapped, again):
        assert float(other(truth, guess)) == float(loss(truth, guess))
        assert other.name == loss.name
    assert again.loss.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"name": "tpu"}, "strategy=tpu"),
        ({"virtual_devices": -1}, "virtual_devices=-1"),
        ({"name": "none", "virtual_devices": 2}, "virtual_devices=2"),
        # The fixture that seeds every test has started the runtime.
        ({"name": "mirrored", "virtual_devices": 2}, "virtual_devices=2"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, received):
    with pytest.raises(UserError) as caught:
        strategy.create(**arguments)
    assert str(caught.value).endswith(f"Received: {received}")
    assert "\n" not in str(caught.value)


def test_fused_layers_on_replicas_equal_plain_ones():
    result = in_a_process()
    assert result["moved"] > 0.01
    assert result["apart"] < 1e-4 * result["moved"]


def test_mirrored_without_a_gpu_says_what_it_needs():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="needs a GPU, or virtual devices"):
        strategy.create("mirrored")


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(compare(*given) if given else fused_and_plain()))
