"""From training to serving, as a user goes: one command after the other."""

import json

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.commands import evaluate, export, prune, train
from rrelu_tf.training.run_folder import Run

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"


def test_what_is_served_is_what_was_trained_and_stripped(tmp_path, capfd):
    run = tmp_path / "run"
    flags = ["--arch=resnet20", "--epochs=6", "--slope_l1=1e-2"]
    assert train.main(["train", *flags, f"--run={run}", IN_PROCESS]) == 0
    assert prune.main(["prune", f"--run={run}", "--tolerance=5"]) == 0
    assert export.main(["export", f"--run={run}"]) == 0
    printed = capfd.readouterr().out
    assert "before" in printed and "after" in printed
    assert f"tensorboard --logdir {run / 'tensorboard'}" in printed

    small = keras.saving.load_model(run / "pruned" / "model.keras")
    dense = Run.open(run).last()
    assert small.count_params() < dense.count_params()
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    serve = tf.saved_model.load(str(run / "serving" / "1")).signatures
    served = serve["serving_default"](images=tf.constant(images))
    logits = small(Run.open(run).data().preprocessing.apply(images))
    np.testing.assert_allclose(
        served["probabilities"], tf.nn.softmax(logits), atol=1e-5
    )

    accuracy = {}
    for name, where in (
        ("keras", f"--model={run / 'pruned' / 'model.keras'}"),
        ("served", f"--model={run / 'serving'}"),
    ):
        file = tmp_path / f"{name}.json"
        flags = [f"--run={run}", where, f"--json={file}"]
        assert evaluate.main(["evaluate", *flags]) == 0
        accuracy[name] = json.loads(file.read_text())["accuracy"]
    report = json.loads((run / "pruned" / "report.json").read_text())
    assert accuracy["keras"] == report["after"]["accuracy"]
    assert accuracy["served"] == report["after"]["accuracy"]
