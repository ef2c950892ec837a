"""Two replicas: train, prune, strip, export, in a process of its own."""

import contextlib
import json
import tempfile

import child
import numpy as np
import pytest


def replicated():
    """Goes all the way; what is to be seen of each step."""
    import keras
    import small_nets as nets
    import tensorflow as tf

    import rrelu_tf
    from rrelu_tf.data.preprocessing import Preprocessing
    from rrelu_tf.export import saved_model
    from rrelu_tf.training import strategy

    mirrored = strategy.create("mirrored", virtual_devices=2)
    keras.utils.set_random_seed(0)
    with mirrored.scope():
        model = nets.compiled(nets.conv_net())
        model.fit(*nets.data(), batch_size=8, verbose=0)
        pruned = rrelu_tf.prune_channels(model, nets.growing(0.5))
        nets.compiled(pruned)
    history = nets.fit(
        pruned, 2, validation_data=nets.data(), validation_batch_size=8
    ).history
    small = rrelu_tf.strip_pruning(pruned)
    x, y = nets.data()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tempfile.TemporaryDirectory() as folder:
        written = saved_model.write(
            small,
            folder,
            preprocessing=Preprocessing((0.5,) * 3, (0.25,) * 3, (4, 4, 3)),
            class_names=["a", "b", "c"],
        )
        serve = tf.saved_model.load(str(written)).signatures["normalized"]
        served = serve(images=tf.constant(x))["logits"]
    copies = [
        [np.asarray(c) for c in mirrored.experimental_local_results(v.value)]
        for v in pruned.variables
        if "moving" not in v.path  # of Keras's norm, each replica's own
    ]
    return {
        "apart": {score: apart(mirrored, score) for score in ("l1", "fisher")},
        "replicas": mirrored.num_replicas_in_sync,
        "alive": nets.alive(pruned),
        "copies agree": all(np.array_equal(*pair) for pair in copies),
        "loss of the masked": history["val_loss"][-1],
        "loss of the served": float(loss(y, served)),
        "parameters": [model.count_params(), small.count_params()],
    }


def apart(mirrored, score):
    """Where two replicas and one device end: same masks, and how far apart."""
    import small_nets as nets

    import rrelu_tf

    start = nets.dense_net().get_weights()  # no norm: those are a replica's
    ends = []
    for scope in (contextlib.nullcontext(), mirrored.scope()):
        with scope:
            model = nets.dense_net()
            model.set_weights(start)
            model = rrelu_tf.prune_channels(model, nets.growing(0.5), score)
            nets.compiled(model)
        data = rrelu_tf.UpdatePruningStep(nets.data(), 16, batch_size=8)
        nets.fit(model, 2, updating=data)
        ends.append(model)
    one, two = ends
    masks = nets.masks(two)
    return {
        "alive": nets.alive(two),
        "masks": all(
            np.array_equal(mask, masks[key])
            for key, mask in nets.masks(one).items()
        ),
        "weights": max(
            float(np.abs(a - b).max())
            for a, b in zip(one.get_weights(), two.get_weights(), strict=True)
        ),
    }


@pytest.fixture(scope="module")
def result():
    return child.result(child.piped(__file__))


@pytest.mark.parametrize("score", ["l1", "fisher"])
def test_two_replicas_end_where_one_device_does(result, score):
    apart = result["apart"][score]
    assert apart["alive"] == {"wide": 5, "narrow": 4}
    assert apart["masks"]
    assert apart["weights"] < 1e-5


def test_two_replicas_train_prune_strip_and_export(result):
    assert result["replicas"] == 2
    assert result["alive"] == {"first": 4, "depthwise": 4, "project": 4}
    assert result["copies agree"]
    before, after = result["parameters"]
    assert after < before
    np.testing.assert_allclose(
        result["loss of the served"], result["loss of the masked"], rtol=1e-4
    )


if __name__ == "__main__":
    print(json.dumps(replicated()))
