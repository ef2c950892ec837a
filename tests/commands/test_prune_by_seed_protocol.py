"""The OrthoReg authors' protocol through the commands, with retraining."""

import json

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.commands import prune, train
from rrelu_tf.training.run_folder import Run

SEED = ["--protocol=seed", "--score=orthoreg", "--sparsity=0.5", "--rounds=2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained with OrthoReg, pruned twice, between them retrained by both."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--arch=resnet8_b", "--arch_options=width=0.25", "--epochs=1"]
    flags += ["--activation=relu", "--batch_size=512", "--nodeterministic"]
    flags += ["--orthoreg=0.01", "--weight_decay=0", "--prune", *SEED]
    flags += ["--retrain_epochs=1+1,1", "--samples=512", f"--run={folder}"]
    assert train.main(["train", *flags]) == 0
    return folder


def rounds(folder):
    return json.loads((folder / "report.json").read_text())["rounds"]


@pytest.mark.slow
def test_training_and_pruning_go_through_every_round(run):
    found = rounds(run / "pruned")
    assert [one["epochs"] for one in found] == ["1+1", "1"]
    # 66 % of the 42 x 2 filters are to stay, then 49 % (int(66 x 3/4)).
    assert [one["channels"] for one in found] == wanted(found)
    plain, ortho, last = (
        Run.open(run / "pruned" / name).recipe
        for name in ("plain1", "round1", "round2")
    )
    assert (plain.orthoreg, last.orthoreg) == (0.0, 0.0)
    assert (ortho.orthoreg, ortho.protocol) == (0.01, "seed")


def wanted(found):
    before = found[0]["channels_before"]
    return [before - int((1 - p / 100) * before) for p in (66, 49)]


def test_what_was_zeroed_stays_zero_while_it_is_retrained(run):
    small = keras.saving.load_model(run / "pruned" / "model.keras")
    maps = [x for x in small.layers if x.name.endswith("_map")]
    assert maps
    for layer in maps:
        gone = np.asarray(layer.scale) == 0
        norm = small.get_layer(layer.name.removesuffix("_map"))
        assert gone.any() and not gone.all()
        assert not np.asarray(norm.gamma)[gone].any()
        assert not np.asarray(norm.beta)[gone].any()
    stripped = rrelu_tf.strip(small)
    assert stripped.count_params() < small.count_params()
    rrelu_tf.verify(small, stripped)


@pytest.mark.slow
def test_pruning_alone_takes_the_same_filters(run, tmp_path):
    out = tmp_path / "out"
    flags = [f"--run={run}", *SEED, "--samples=512", "--retrain_epochs=0"]
    assert prune.main(["prune", *flags, f"--out={out}"]) == 0
    found = rounds(out)
    assert [one["channels"] for one in found] == wanted(found)
    first = [
        json.loads((folder / "stripped1" / "manifest.json").read_text())["kept"]
        for folder in (out, run / "pruned")
    ]
    assert first[0] == first[1]
