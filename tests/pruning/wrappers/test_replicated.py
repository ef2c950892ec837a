"""Two replicas: train, prune, strip, export, in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[3]


def replicated():
    """Goes all the way; what is to be seen of each step."""
    import keras
    import small_nets as nets
    import tensorflow as tf

    import rrelu_tf
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
        small.export(folder, verbose=False)
        loaded = tf.saved_model.load(folder)
        served = loaded.serve(x)
    copies = [
        [np.asarray(copy) for copy in mirrored.experimental_local_results(mask)]
        for mask in (
            wrapper.mask.value
            for wrapper in rrelu_tf.pruning.wrappers.bare.wrappers(
                pruned
            ).values()
        )
    ]
    return {
        "replicas": mirrored.num_replicas_in_sync,
        "alive": nets.alive(pruned),
        "copies agree": all(np.array_equal(*pair) for pair in copies),
        "loss of the masked": history["val_loss"][-1],
        "loss of the served": float(loss(y, served)),
        "parameters": [model.count_params(), small.count_params()],
    }


def test_two_replicas_train_prune_strip_and_export():
    here = pathlib.Path(__file__).parent
    path = [str(ROOT), str(here), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
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
