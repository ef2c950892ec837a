"""bin/train on real devices; skipped where there is no GPU."""

import csv

import pytest

from rrelu_tf.commands import prune, train

pytestmark = pytest.mark.gpu


def accuracies(run):
    with open(run / "metrics.csv", newline="") as file:
        return [float(row["accuracy"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "options",
    [
        ["--strategy=mirrored"],
        ["--strategy=mirrored", "--sync_batch_norm"],
        ["--strategy=none", "--mixed_precision=float16"],
        ["--strategy=none", "--jit_compile"],
        ["--strategy=mirrored", "--mixed_precision=bfloat16", "--jit_compile"],
    ],
    ids=" ".join,
)
def test_digits_are_learned_and_pruned_on_gpus(options, tmp_path):
    run = tmp_path / "run"
    flags = ["--arch=resnet20", "--epochs=6", "--nodeterministic", *options]
    assert train.main(["train", *flags, f"--run={run}"]) == 0
    assert accuracies(run)[-1] > 0.8
    assert prune.main(["prune", f"--run={run}", "--zeta=0.75"]) == 0
