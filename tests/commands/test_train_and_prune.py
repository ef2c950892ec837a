"""bin/train --prune: one command from nothing to the pruned net."""

import json
import signal
import time

import child
import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.commands import train
from rrelu_tf.training.run_folder import Run

# TensorFlow cannot take its determinism back: other tests would run under it.
FLAGS = ("--arch=fcnn", "--activation=relu", "--epochs=1", "--nodeterministic")
PRUNE = ("--prune", "--score=l1", "--sparsity=0.5", "--retrain_epochs=1")


def call(folder, *flags):
    return train.main(["train", *FLAGS, f"--run={folder}", *flags])


def refused(capfd, folder, *flags):
    """The one line on stderr of a command that must fail."""
    capfd.readouterr()
    assert call(folder, *flags) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert call(folder, *PRUNE) == 0
    return folder


def test_it_trains_and_prunes(run):
    assert Run.open(run).last().get_layer("fc1").units == 500
    small = keras.saving.load_model(run / "pruned" / "model.keras")
    assert small.get_layer("fc1").units == 250
    assert Run.open(run / "pruned" / "round1").is_finished


def test_nofused_is_of_plain_layers_to_the_end(tmp_path):
    net = ("--arch=resnet8", "--activation=rrelu", "--arch_options=width=0.25")
    assert call(tmp_path / "run", *net, *PRUNE, "--nofused") == 0
    dense = Run.open(tmp_path / "run").last()
    small = keras.saving.load_model(tmp_path / "run" / "pruned" / "model.keras")
    assert small.count_params() < dense.count_params()
    for model in (dense, small):
        fused = [x.fused for x in model.layers if hasattr(x, "fused")]
        assert len(fused) == 20 and not any(fused)


def test_the_same_command_only_tells_again(run, capfd):
    before = (run / "pruned" / "report.json").read_bytes()
    assert call(run, *PRUNE) == 0
    assert capfd.readouterr().out.count("finished already") == 2
    assert (run / "pruned" / "report.json").read_bytes() == before


def test_only_train_stops_before_pruning(tmp_path):
    assert call(tmp_path / "base", *PRUNE, "--only_train=base") == 0
    assert Run.open(tmp_path / "base").is_finished
    assert not (tmp_path / "base" / "pruned").exists()


def test_base_and_ortho_are_two_nets_of_one_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ["train", "--arch=resnet8", "--arch_options=width=0.25"]
    flags += ["--activation=relu", "--epochs=1", "--batch_size=512"]
    flags += ["--nodeterministic", "--orthoreg=0.01"]
    for kind in ("base", "ortho"):
        assert train.main([*flags, f"--only_train={kind}"]) == 0
    base, ortho = (
        Run.open(f"runs/digits-resnet8-relu{end}-seed0")
        for end in ("", "-ortho")
    )
    assert (base.recipe.orthoreg, ortho.recipe.orthoreg) == (0.0, 0.01)


@pytest.mark.parametrize("kind", ["file", "run"])
def test_a_pretrained_net_is_pruned_without_training(kind, run, tmp_path):
    source = Run.open(run).last()
    given = run if kind == "run" else tmp_path / "net.keras"
    if kind == "file":
        source.save(given)
    out = tmp_path / "out"
    flags = ["--prune", "--score=l1", "--sparsity=0.5", "--retrain_epochs=0"]
    assert call(out, *flags, f"--pretrained={given}") == 0
    assert not (out / "run.json").exists()
    small = keras.saving.load_model(out / "pruned" / "model.keras")
    columns = rrelu_tf.kept(small)["fc1"]
    np.testing.assert_array_equal(
        small.get_layer("fc1").kernel,
        source.get_layer("fc1").kernel.numpy()[:, columns],
    )


def test_a_pretrained_net_of_another_architecture_is_one_line(
    run, tmp_path, capfd
):
    out = tmp_path / "out"
    line = refused(capfd, out, *PRUNE, "--arch=resnet8", f"--pretrained={run}")
    assert "must be of the architecture resnet8 with relu" in line
    assert line.endswith(f"Received: pretrained={run}")
    line = refused(capfd, out, *PRUNE, f"--pretrained={tmp_path}")
    assert line.endswith(f"Received: pretrained={tmp_path}")
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "received"),
    [
        (["--prune"], "prune=True"),
        (["--sparsity=0.5"], "sparsity=0.5"),
        (["--thresholds=10,50"], "thresholds=10,50"),
        (["--score=l1"], "score=l1"),
        (["--pretrained=net.keras"], "pretrained=net.keras"),
        (["--prune", "--sparsity=0.5"], "activation=relu"),
        (["--only_train=ortho"], "orthoreg=0.0"),
        (
            [*PRUNE, "--only_train=base", "--pretrained=net.keras"],
            "pretrained=net.keras",
        ),
        (
            [*PRUNE, "--pretrained=x", "--early_bird=fixed", "--epochs=30"],
            "early_bird=fixed",
        ),
        ([*PRUNE, "--pretrained=x", "--orthoreg=0.5"], "orthoreg=0.5"),
        ([*PRUNE, "--sparsity=2"], "sparsity=2.0"),
        (
            [*PRUNE, "--retrain_weight_decay=-1"],
            "retrain_weight_decay=-1.0",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path, capfd, flags, received):
    line = refused(capfd, tmp_path / "run", *flags)
    assert line.endswith(f"Received: {received}")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_killed_in_training_and_in_a_round_it_ends_alike(repository, tmp_path):
    def start(folder):
        flags = [*FLAGS[:2], "--epochs=3", f"--run={folder}", *PRUNE]
        return child.start(repository / "bin" / "train", *flags)

    def kill_when(process, file):
        while not file.exists():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait() == 0
    kill_when(start(killed), killed / "checkpoints" / "epoch-00001.npz")
    round1 = killed / "pruned" / "round1"
    kill_when(start(killed), round1 / "checkpoints" / "epoch-00000.npz")
    assert start(killed).wait() == 0
    ends = [
        [np.asarray(w).tobytes() for w in model.weights]
        for model in (
            keras.saving.load_model(folder / "pruned" / "model.keras")
            for folder in (whole, killed)
        )
    ]
    assert ends[0] == ends[1]
    rounds = [
        json.loads((f / "pruned" / "report.json").read_text())["rounds"]
        for f in (whole, killed)
    ]
    assert rounds[0] == rounds[1]
