"""bin/prune in rounds: killed, misused, and what it leaves."""

import csv
import json
import signal
import time

import child
import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.commands import evaluate, export, prune, report, train
from rrelu_tf.training import checkpoints
from rrelu_tf.training.run_folder import Run

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"
ROUNDS = ("--score=l1", "--sparsity=0.5", "--rounds=2", "--retrain_epochs=3")


@pytest.fixture(scope="module")
def command(request):
    root = request.config.rootpath

    def start(name, *flags):
        return child.piped(root / "bin" / name, *flags)

    return start


def finish(process):
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return out


@pytest.fixture(scope="module")
def run(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ("--arch=fcnn", "--activation=relu", "--epochs=2")
    finish(command("train", *flags, "--batch_size=64", f"--run={folder}"))
    return folder


@pytest.fixture(scope="module")
def folder(command, run):
    printed = finish(command("prune", f"--run={run}", *ROUNDS))
    assert str(run / "pruned") in printed
    return run / "pruned"


@pytest.fixture(scope="module")
def loose(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--arch=fcnn", "--activation=relu", "--epochs=1", IN_PROCESS]
    assert train.main(["train", *flags, f"--run={folder}"]) == 0
    return folder


def kill_when(process, there):
    while not there():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def outcome(folder):
    """All that must be equal, bit for bit; times are left out."""
    weights = [
        [np.asarray(w).tobytes() for w in model.weights]
        for model in map(
            keras.saving.load_model,
            [
                folder / f / "model.keras"
                for f in ("stripped1", "stripped2", "")
            ],
        )
    ]
    tables = []
    for number in (1, 2):
        with open(
            folder / f"round{number}" / "metrics.csv", newline=""
        ) as file:
            rows = [
                {k: v for k, v in row.items() if "seconds" not in k}
                for row in csv.DictReader(file)
            ]
        assert len(rows) == 3
        tables.append(rows)
    rounds = json.loads((folder / "report.json").read_text())["rounds"]
    return weights, tables, rounds


def assert_ends_alike(folder, other):
    assert outcome(folder) == outcome(other)


def test_killed_in_a_round_and_between_rounds_it_ends_alike(
    command, run, folder, tmp_path
):
    out = tmp_path / "pruned"
    flags = (f"--run={run}", f"--out={out}", *ROUNDS)
    process = command("prune", *flags)
    kill_when(
        process,
        lambda: len(checkpoints.epochs(out / "round1" / "checkpoints")) > 1,
    )
    assert not (out / "round1" / "report.md").exists()
    process = command("prune", *flags)
    kill_when(process, (out / "round1" / "report.md").exists)
    assert not (out / "stripped2").exists()
    # What is whole can be used now.
    assert Run.open(out / "round1").last().get_layer("fc1").units == 334
    finish(command("prune", *flags))
    assert_ends_alike(out, folder)


def test_finished_rounds_are_only_told_again(run, folder, capfd):
    before = (folder / "report.json").read_bytes()
    assert prune.main(["prune", f"--run={run}", *ROUNDS]) == 0
    printed = capfd.readouterr().out
    assert "finished already" in printed
    assert "334 => 250" in printed
    assert (folder / "report.json").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["stripped1", "round2/checkpoints/epoch-00002.npz", "plots"]
)
def test_killed_anywhere_it_ends_alike(point, command, run, folder, tmp_path):
    out = tmp_path / "pruned"
    flags = (f"--run={run}", f"--out={out}", *ROUNDS)
    kill_when(command("prune", *flags), (out / point).exists)
    finish(command("prune", *flags))
    assert_ends_alike(out, folder)


@pytest.mark.slow
def test_sigterm_exits_with_143_and_the_same_command_goes_on(
    command, run, folder, tmp_path
):
    out = tmp_path / "pruned"
    flags = (f"--run={run}", f"--out={out}", *ROUNDS)
    process = command("prune", *flags)
    while not (out / "round1" / "checkpoints" / "epoch-00001.npz").exists():
        time.sleep(0.001)
    process.terminate()
    printed, err = process.communicate()
    assert (process.returncode, err) == (128 + signal.SIGTERM, "")
    assert "stopped by SIGTERM; the same command goes on" in printed
    finish(command("prune", *flags))
    assert_ends_alike(out, folder)


def test_each_round_takes_its_share_and_is_told(folder):
    rounds = json.loads((folder / "report.json").read_text())["rounds"]
    counts = [(r["channels_before"], r["channels"]) for r in rounds]
    assert counts == [(500, 334), (334, 250)]  # a third, then a quarter
    assert rounds[1]["accuracy_before"] == rounds[0]["accuracy_after"]
    for number, one in enumerate(rounds, 1):
        stripped = keras.saving.load_model(
            folder / f"stripped{number}" / "model.keras"
        )
        assert one["after"]["parameters"] == stripped.count_params()
        measured = folder / f"round{number}" / "report.json"
        last = json.loads(measured.read_text())["last"]
        assert one["accuracy_after"] == last["test_accuracy"]
        assert one["epochs"] == "3"
    text = (folder / "report.md").read_text()
    assert "| 2 | 334 => 250 |" in text


def test_the_final_model_is_the_last_rounds_and_knows_what_it_kept(run, folder):
    final = keras.saving.load_model(folder / "model.keras")
    last = Run.open(folder / "round2").last()
    for a, b in zip(final.weights, last.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = manifest["kept"]["fc1"]
    assert rrelu_tf.kept(final)["fc1"].tolist() == kept
    assert manifest["channels"]["fc1"] == 500
    # Those of the first net: its kernel's columns, before they were retrained.
    first = keras.saving.load_model(folder / "stripped1" / "model.keras")
    columns = rrelu_tf.kept(first)["fc1"]
    assert set(kept) < set(columns.tolist())
    source = Run.open(run).last().get_layer("fc1").kernel.numpy()
    np.testing.assert_array_equal(
        first.get_layer("fc1").kernel, source[:, columns]
    )
    assert manifest["origin"]["dense"]["parameters"] == 37_010 + 500


def test_every_round_opens_in_the_other_commands(run, folder, tmp_path, capsys):
    page = tmp_path / "report.html"
    rounds = [folder / "round1", folder / "round2"]
    assert (
        report.main(["report", *map(str, [run, *rounds]), f"--out={page}"]) == 0
    )
    for path in (run, rounds[0]):
        assert evaluate.main(["evaluate", f"--run={path}"]) == 0
    model = folder / "stripped1" / "model.keras"
    flags = [f"--model={model}", "--dataset=digits"]
    assert evaluate.main(["evaluate", *flags]) == 0
    out = tmp_path / "serving"
    assert export.main(["export", f"--run={run}", f"--out={out}"]) == 0
    assert "250" in capsys.readouterr().out


def test_other_flags_do_not_go_on_in_the_folder(run, folder, capfd):
    line = refused(capfd, f"--run={run}", *ROUNDS, "--score=sfp")
    assert "score: l1 => sfp" in line
    assert line.endswith(f"Received: out={folder}")


def refused(capfd, *arguments):
    """The one line on stderr of a command that must fail."""
    capfd.readouterr()
    assert prune.main(["prune", *map(str, arguments)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("flags", "received"),
    [
        (["--sparsity=1"], "sparsity=1.0"),
        (["--sparsity=-0.5"], "sparsity=-0.5"),
        (["--sparsity=0"], "sparsity=0.0"),
        (["--thresholds=50,10"], "thresholds=50,10"),
        (["--thresholds=a"], "thresholds=a"),
        (["--sparsity=0.5", "--zeta=0.1"], "zeta=0.1"),
        (["--sparsity=0.5", "--tolerance=1"], "tolerance=1"),
        (["--sparsity=0.5", "--retrain_epochs=1,2"], "retrain_epochs=1,2"),
        (["--sparsity=0.5", "--flops=0.5"], "sparsity=0.5, flops=0.5"),
        (["--rounds=2"], "rounds=2"),
        (["--retrain_epochs=2"], "retrain_epochs=2"),
        (
            ["--sparsity=0.5", "--retrain_learning_rate=0"],
            "retrain_learning_rate=0.0",
        ),
        # Nothing to be scored; nothing that may go.
        (["--sparsity=0.5", "--score=slope"], "model=fcnn"),
        (["--sparsity=0.001", "--score=l1"], "sparsity=0.001"),
    ],
)
def test_mistakes_are_one_line(loose, capfd, flags, received):
    line = refused(capfd, f"--run={loose}", *flags)
    assert line.endswith(f"Received: {received}")
    assert not (loose / "pruned").exists()


def test_a_model_without_a_run_needs_its_data(loose, tmp_path, capfd):
    file = tmp_path / "net.keras"
    Run.open(loose).last().save(file)
    flags = [f"--model={file}", "--score=fisher", "--sparsity=0.5"]
    line = refused(capfd, *flags)
    assert line.endswith("Received: dataset=None")
    assert not (tmp_path / "net_pruned").exists()


def test_one_round_without_retraining_is_pruning_by_any_score(loose, tmp_path):
    out = tmp_path / "pruned"
    flags = ["--score=fisher", "--params=0.5", "--retrain_epochs=0"]
    flags += ["--samples=128", f"--out={out}"]
    assert prune.main(["prune", f"--run={loose}", *flags]) == 0
    source, small = Run.open(loose).last(), out / "model.keras"
    small = keras.saving.load_model(small)
    left = small.count_params() / source.count_params()
    assert 0.49 < left <= 0.5
    assert not (out / "round1").exists()
    (one,) = json.loads((out / "report.json").read_text())["rounds"]
    assert one["accuracy_after"] == one["accuracy_at_once"]


def test_pruning_at_once_leaves_the_folder_of_rounds_alone(
    loose, tmp_path, capfd
):
    out = tmp_path / "pruned"
    flags = ["--score=l1", "--sparsity=0.5", "--retrain_epochs=0"]
    assert prune.main(["prune", f"--run={loose}", *flags, f"--out={out}"]) == 0
    at_once = ["--score=l1", "--zeta=1", f"--out={out}"]
    line = refused(capfd, f"--run={loose}", *at_once)
    assert line.endswith(f"Received: out={out}")
    assert (out / "stripped1" / "model.keras").exists()


def test_statistics_are_measured_anew_before_the_accuracy_at_once(tmp_path):
    run, out = tmp_path / "run", tmp_path / "pruned"
    flags = ["--arch=resnet8", "--arch_options=width=0.25", "--epochs=1"]
    flags += ["--activation=relu", "--batch_size=512", IN_PROCESS]
    assert train.main(["train", *flags, f"--run={run}"]) == 0
    flags = ["--score=l1", "--sparsity=0.5", "--retrain_epochs=0"]
    flags += ["--recalibrate=256", f"--out={out}"]
    assert prune.main(["prune", f"--run={run}", *flags]) == 0
    opened = Run.open(run)
    source, data = opened.last(), opened.data()
    keep = rrelu_tf.select(rrelu_tf.score(source, "l1"), sparsity=0.5)
    small = rrelu_tf.strip(rrelu_tf.mask(source, keep))
    wanted = rrelu_tf.recalibrate(small, data.unaugmented(256))
    found = keras.saving.load_model(out / "stripped1" / "model.keras")
    moved = 0
    for old, a, b in zip(
        small.weights, wanted.weights, found.weights, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        moved += not np.allclose(old, b, rtol=1e-3)
    assert moved
    (one,) = json.loads((out / "report.json").read_text())["rounds"]
    right = [
        np.argmax(found(images), axis=-1) == labels
        for images, labels in data.test
    ]
    assert one["accuracy_at_once"] == pytest.approx(
        np.concatenate(right).mean()
    )
