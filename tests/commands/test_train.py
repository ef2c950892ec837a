"""`bin/train` as a process: killed, stopped, out of disk, misused."""

import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import child
import numpy as np
import pytest

from rrelu_tf import atomic
from rrelu_tf.commands import train
from rrelu_tf.training import checkpoints

EPOCHS = 10
FLAGS = ("--arch=fcnn", f"--epochs={EPOCHS}", "--batch_size=64")

# The real command, whose disk takes half a second to flush.
SLOW_DISK = """
import os, sys, time
real = os.fsync
def slow(descriptor):
    time.sleep(0.5)
    real(descriptor)
os.fsync = slow
from rrelu_tf.commands.train import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def start(request):
    root = request.config.rootpath

    command = (root / "bin" / "train",)

    def start(folder, *flags, script=command, path=root, **options):
        return child.piped(
            *(*script, *FLAGS, f"--run={folder}", *flags),
            environment={"PYTHONPATH": str(path)},
            **options,
        )

    return start


@pytest.fixture(scope="module")
def uninterrupted(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    finish(start(folder))
    return folder


def finish(process, silent=True):
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert err == "" or not silent
    assert "the run is finished" in out
    return out


def wait_for(process, found):
    while not found():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


def wait_for_epoch(process, folder, epoch):
    def found():
        saved = checkpoints.epochs(folder / "checkpoints")
        return bool(saved) and saved[-1] >= epoch

    wait_for(process, found)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def outcome(folder):
    """All that must be equal, bit for bit; times are left out."""
    names = ("seconds", "cpu_seconds")
    states = {}
    for epoch in checkpoints.epochs(folder / "checkpoints"):
        state = checkpoints.read(folder / "checkpoints", epoch)
        arrays = [array.tobytes() for array in state.model + state.optimizer]
        states[epoch] = (state.best_epoch, arrays)
    with open(folder / "metrics.csv", newline="") as file:
        table = [
            {k: v for k, v in row.items() if k not in names}
            for row in csv.DictReader(file)
        ]
    report = json.loads((folder / "report.json").read_text())
    return states, table, report["last"], report["best"]


def assert_ends_alike(folder, other, epochs=EPOCHS):
    ends = outcome(folder), outcome(other)
    assert len(ends[0][1]) == epochs
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    "seed",
    [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 8))],
)
def test_killed_it_goes_on_and_ends_bit_for_bit_alike(
    seed, start, uninterrupted, tmp_path
):
    draw = random.Random(seed)
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_epoch(process, folder, draw.randrange(0, 4))
    time.sleep(draw.uniform(0, 0.2))
    kill(process)

    # Now in the middle of a save.
    process = start(folder, script=("-c", SLOW_DISK))
    first = checkpoints.epochs(folder / "checkpoints")[-1]
    epoch = draw.randrange(first + 1, min(first + 3, EPOCHS) + 1)
    path = checkpoints.path_of(folder / "checkpoints", epoch)

    def halves():
        return atomic.leftovers(path.parent, path.name)

    wait_for(process, halves)
    time.sleep(draw.uniform(0, 0.4))
    kill(process)
    assert halves()

    assert f"going on after epoch {epoch - 1} of" in finish(start(folder))
    assert not halves()
    assert_ends_alike(folder, uninterrupted)


@pytest.mark.parametrize(
    "precision", ["none", pytest.param("float16", marks=pytest.mark.slow)]
)
def test_batch_statistics_go_on_bit_for_bit_too(precision, start, tmp_path):
    flags = ("--arch=wrn_10_1", "--epochs=2", "--batch_size=256")
    flags += (f"--mixed_precision={precision}",)
    # TensorFlow may log that this CPU has no float16 of its own.
    silent = precision == "none"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole, *flags), silent)
    process = start(killed, *flags)
    wait_for_epoch(process, killed, 1)
    kill(process)
    assert not (killed / "report.json").exists()
    out = finish(start(killed, *flags), silent)
    assert "going on after epoch 1 of 2" in out
    assert_ends_alike(killed, whole, epochs=2)


def test_sigterm_exits_with_143_and_the_same_command_goes_on(
    start, uninterrupted, tmp_path
):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_epoch(process, folder, 2)
    process.terminate()
    out, err = process.communicate()
    assert (process.returncode, err) == (128 + signal.SIGTERM, "")
    assert "stopped by SIGTERM; the same command goes on from the last" in out
    assert "what was done of the current epoch is lost" in out
    assert not (folder / "report.json").exists()
    finish(start(folder))
    assert_ends_alike(folder, uninterrupted)


@pytest.mark.slow
def test_sigint_exits_with_130(start, tmp_path):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_epoch(process, folder, 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    assert "stopped by SIGINT" in out


def test_a_full_disk_is_one_line_and_the_run_can_go_on(
    start, uninterrupted, tmp_path
):
    # Checkpoints grow by their history: this limit is met in mid-run.
    sizes = [
        checkpoints.path_of(uninterrupted / "checkpoints", epoch).stat().st_size
        for epoch in (EPOCHS - 1, EPOCHS)
    ]
    limit = int(np.mean(sizes)) - 3 * (sizes[1] - sizes[0])
    folder = tmp_path / "run"
    process = start(
        folder,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, limit)
        ),
    )
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.count("\n") == 1
    assert "File too large" in err
    kept = checkpoints.latest(folder / "checkpoints").epoch
    assert 0 < kept < EPOCHS
    assert f"going on after epoch {kept} of" in finish(start(folder))
    assert_ends_alike(folder, uninterrupted)


def test_a_disk_too_full_for_the_first_checkpoint_leaves_nothing(
    start, tmp_path
):
    process = start(
        tmp_path / "run",
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (50_000, 50_000)
        ),
    )
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.count("\n") == 1
    assert "File too large" in err
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_cut_checkpoint_is_passed_over_and_the_end_is_alike(
    start, uninterrupted, tmp_path
):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_epoch(process, folder, 3)
    kill(process)
    epoch = checkpoints.epochs(folder / "checkpoints")[-1]
    path = checkpoints.path_of(folder / "checkpoints", epoch)
    os.truncate(path, path.stat().st_size // 2)
    process = start(folder)
    out, err = process.communicate()
    assert process.returncode == 0
    assert err.count("\n") == 1
    assert path.name in err
    assert f"going on after epoch {epoch - 1} of" in out
    assert_ends_alike(folder, uninterrupted)


# Of eight epochs four are the first step's; a save takes half a second.
TWO_STEPS = ("--epochs=8", "--two_step_epochs=4", "--two_step_zeta=0.8")


@pytest.fixture(scope="module")
def two_steps(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_steps") / "run"
    finish(start(folder, *TWO_STEPS))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(2,), (4,), (6,), (1, 5)])
def test_two_steps_killed_in_either_end_bit_for_bit_alike(
    kills, start, two_steps, tmp_path
):
    folder = tmp_path / "run"
    for epoch in kills:
        process = start(folder, *TWO_STEPS, script=("-c", SLOW_DISK))
        wait_for_epoch(process, folder, epoch)
        kill(process)
        saved = checkpoints.epochs(folder / "checkpoints")[-1]
        assert (saved < 4) == (epoch < 4)
    assert f"going on after epoch {saved} of 8" in finish(
        start(folder, *TWO_STEPS)
    )
    assert_ends_alike(folder, two_steps, epochs=8)
    last = checkpoints.read(folder / "checkpoints", 8)
    assert any((array == 0).any() and array.ndim == 1 for array in last.model)


@pytest.mark.parametrize(
    "flags",
    [
        ("--epoch=3",),
        ("--epochs=0",),
        ("--learning_rate=nan",),
        ("--milestones=a",),
        ("--mixed_precision=float8",),
        ("--optimizer=adam", "--momentum=0.5"),
        ("--run=",),
        ("--start=model.keras",),  # beside --arch
        ("--weight_decay=0", "--slope_decay=0.5"),
        ("word",),
    ],
)
def test_misuse_is_one_line_and_2_before_tensorflow(flags, start, tmp_path):
    # Should TensorFlow be imported, its import fails with a traceback.
    (tmp_path / "tensorflow.py").write_text("raise AssertionError")
    process = start(tmp_path / "run", *flags, path=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 2
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ")
    assert not (tmp_path / "run").exists()


def test_every_flag_file_is_a_recipe(repository, capsys):
    files = sorted((repository / "flags").glob("*/*.flags"))
    assert files
    for path in files:
        # Refused for its folder alone, which is looked at after the recipe.
        assert train.main(["train", f"--flagfile={path}", "--run="]) == 2
        assert capsys.readouterr().err.endswith("Received: run=\n")


def test_help_imports_no_tensorflow(repository):
    script = (
        "import sys; from rrelu_tf.commands.train import main; "
        "assert main(['train', '--help']) == 0; "
        "heavy = {'tensorflow', 'keras', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "--weight_decay" in run.stdout


def test_an_unknown_architecture_is_one_line_and_writes_nothing(
    start, tmp_path
):
    process = start(tmp_path / "run", "--arch=resnet21")
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.count("\n") == 1
    assert "resnet20" in err
    assert err.endswith("Received: arch=resnet21\n")
    assert not (tmp_path / "run").exists()
