"""`bin/train --early_bird --prune`: the ticket is pruned and retrained."""

import json

import numpy as np

from rrelu_tf.commands import train
from rrelu_tf.pruning.mask_history import MaskHistory
from rrelu_tf.training.run_folder import Run


def test_the_ticket_is_what_is_pruned_and_retrained(tmp_path, capfd):
    run = tmp_path / "run"
    flags = (
        *("--arch=fcnn", "--epochs=4", "--batch_size=512", f"--run={run}"),
        *("--early_bird=fixed", "--early_bird_epochs=2"),
        *("--early_bird_score=l1", "--early_bird_sparsity=0.5"),
        *("--prune", "--score=l1", "--sparsity=0.5", "--retrain_epochs=3"),
        # TensorFlow cannot take its determinism back.
        "--nodeterministic",
    )
    assert not train.main(["train", *flags])
    assert "early-bird ticket after epoch 2 of 4" in capfd.readouterr().out
    assert Run.open(run).epochs_done == 2
    retrained = Run.open(run / "pruned" / "round1")
    assert retrained.epochs_done == 3
    assert retrained.recipe.early_bird == "none"
    masks = MaskHistory()
    masks.read(run / "early_bird.json")
    manifest = json.loads((run / "pruned" / "manifest.json").read_text())
    ticket = np.flatnonzero(masks.mask(2)["fc1"])
    assert len(ticket) == 250
    assert manifest["kept"]["fc1"] == ticket.tolist()
    assert not train.main(["train", *flags])
    assert "finished already" in capfd.readouterr().out


def test_the_ticket_of_the_seed_protocol_is_the_authors(tmp_path):
    run = tmp_path / "run"
    flags = (
        *("--arch=resnet8_b", "--arch_options=width=0.25", "--activation=relu"),
        *("--epochs=2", "--batch_size=512", f"--run={run}"),
        *("--early_bird=fixed", "--early_bird_epochs=1", "--protocol=seed"),
        *("--early_bird_score=fisher", "--early_bird_sparsity=0.5"),
        *("--prune", "--score=fisher", "--sparsity=0.5", "--retrain_epochs=0"),
        "--nodeterministic",
    )
    assert not train.main(["train", *flags])
    masks = MaskHistory()
    masks.read(run / "early_bird.json", protocol="seed")
    ticket = masks.mask(1)
    assert ticket["conv1"].all()  # the authors spare a ResNet's first
    figures = (run / "pruned" / "stripped1" / "round.json").read_text()
    left = json.loads(figures)["left"]
    assert left == {key: int(stays.sum()) for key, stays in ticket.items()}
    manifest = json.loads((run / "pruned" / "manifest.json").read_text())
    kept = {key: np.flatnonzero(stays) for key, stays in ticket.items()}
    first = [key for key in kept if key.endswith("_conv1")]
    assert len(first) == 3
    for key in first:
        assert manifest["kept"][key] == kept[key].tolist()
