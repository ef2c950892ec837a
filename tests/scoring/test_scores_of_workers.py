"""Two processes score a model together, and find what one finds."""

import json

import child
import keras
import loopback
import numpy as np

from rrelu_tf import scoring
from rrelu_tf.layers import RReLU
from rrelu_tf.scoring.workers import Workers

METHODS = ("fisher", "orthoreg", "tfo", "rdt", "grasp", "slope", "l1")
# Five batches, the last one smaller; and one alone, which one worker takes.
SIZES = (18, 4)


def model():
    keras.config.set_dtype_policy("float64")
    layers = [
        keras.Input((6, 6, 2)),
        keras.layers.Conv2D(4, 3, name="first"),
        keras.layers.BatchNormalization(name="norm"),
        RReLU(name="slopes"),
        keras.layers.Conv2D(5, 2, activation="tanh", name="second"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, name="logits"),
    ]
    made = keras.Sequential(layers)
    rng = np.random.default_rng(0)
    for variable in made.weights:
        variable.assign(rng.uniform(0.2, 1.0, variable.shape))
    return made


def scores():
    """Nested lists: of each size, method and layer."""
    rng = np.random.default_rng(1)
    net, found = model(), {}
    for size in SIZES:
        data = rng.normal(size=(size, 6, 6, 2)), np.arange(size) % 3
        for method in METHODS:
            arrays = scoring.score(net, method, data=data, batch_size=4)
            found[f"{method} of {size}"] = {
                key: values.tolist() for key, values in arrays.items()
            }
    return found


def test_they_take_turns_and_add_up_to_the_same_scores():
    addresses = loopback.addresses(2)
    configs = (loopback.config(addresses, index) for index in (0, 1))
    workers = [
        child.piped(__file__, environment={"TF_CONFIG": config})
        for config in configs
    ]
    expected = scores()
    turns = []
    try:
        for worker in workers:
            found = child.result(worker)
            turns.append(found["turns"])
            for name, layers in expected.items():
                for key, values in layers.items():
                    np.testing.assert_allclose(
                        found["scores"][name][key], values, rtol=1e-9
                    )
    finally:
        for worker in workers:
            with worker:
                worker.kill()
    # Of five batches, and of one.
    assert turns == [[3, 1], [2, 0]]


def count_turns(turns):
    """Notes how many batches each pass over the data took here."""
    own = Workers.own

    def counted(self, batches):
        mine = list(own(self, batches))
        turns.append(len(mine))
        return mine

    Workers.own = counted


if __name__ == "__main__":
    from rrelu_tf.training import strategy

    turns = []
    count_turns(turns)
    with strategy.create("multiworker").scope():
        results = scores()
    each = len(turns) // len(SIZES)
    assert all(len(set(turns[i : i + each])) == 1 for i in (0, each))
    print(json.dumps({"scores": results, "turns": turns[::each]}))
