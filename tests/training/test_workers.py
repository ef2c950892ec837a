"""Several processes train what one does, and outlive the loss of one."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import child
import loopback
import numpy as np
import pytest

from rrelu_tf.training import checkpoints, trainer, workers
from rrelu_tf.training.recipe import Recipe

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAIN = ROOT / "bin" / "train"
PATIENCE = 3000  # seconds until a process that hangs is killed
# 1,294 images: the last batch of an epoch has 14, 7 a worker.
TINY = {"arch": "fcnn", "epochs": 3, "batch_size": 128}
NORMED = {"arch": "resnet8", "epochs": 3, "sync_batch_norm": True}


class Job:
    """Two workers on this machine."""

    def __init__(self, recipe, folder):
        self.recipe = recipe
        self.folder = folder
        self.run = folder / "run"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.addresses = loopback.addresses(2)
        self.started = []

    def start(self, index, *, dies_in_epoch=None):
        """A worker's process, which may kill itself in an epoch."""
        command = [TRAIN]
        if dies_in_epoch is not None:
            command = [__file__, str(dies_in_epoch)]
        flags = [f"--{name}={value}" for name, value in self.recipe.items()]
        with open(self.folder / f"log{index}", "a") as log:
            process = child.start(
                *(*command, f"--run={self.run}", "--strategy=multiworker"),
                *(f"--peer_timeout={PATIENCE}", *flags),
                environment={
                    "TF_CONFIG": loopback.config(self.addresses, index),
                    "TMPDIR": str(self.temporary),
                },
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def copies(self):
        """The folders that others than the chief train in."""
        return list(self.temporary.glob("rrelu_tf-*"))

    def end(self):
        """Leaves no process behind."""
        for process in self.started:
            process.kill()
            process.wait()

    def log(self, index):
        """What a worker, and its successors, have printed."""
        return (self.folder / f"log{index}").read_text()


@pytest.fixture
def job(tmp_path):
    """Makes a `Job` of a recipe; its processes end with the test."""
    jobs = []

    def make(recipe):
        folder = tmp_path / f"job{len(jobs)}"
        folder.mkdir()
        jobs.append(Job(recipe, folder))
        return jobs[-1]

    yield make
    for each in jobs:
        each.end()


def wait(process, job):
    """The exit code of a process that is to end by itself."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        logs = [job.log(index)[-2000:] for index in (0, 1)]
        pytest.fail(f"a worker hangs: {logs}")


def apart(one, other):
    """The largest difference between two runs' last states."""
    a, b = (checkpoints.latest(run / "checkpoints") for run in (one, other))
    assert a.epoch == b.epoch
    pairs = zip(a.model + a.optimizer, b.model + b.optimizer, strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


def alone(recipe, folder):
    return trainer.train(Recipe(strategy="none", **recipe), folder).path


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_train_what_one_process_does(
    job, tmp_path
):
    job = job(TINY)
    chief = job.start(0)
    victim = job.start(1, dies_in_epoch=2)
    assert wait(victim, job) == -signal.SIGKILL
    for left_behind in job.copies():  # the victim's, who had no time
        shutil.rmtree(left_behind)
    back = job.start(1)
    assert (wait(chief, job), wait(back, job)) == (0, 0), job.log(0)
    # The chief has started again by itself.
    assert "lost a worker" in job.log(0)
    for index in (0, 1):
        assert "going on after epoch 1 of 3" in job.log(index)
        assert "Warning" not in job.log(index)
    # Only the chief wrote, and no copy is left.
    assert "the run is finished" in job.log(0)
    assert "the run is finished" not in job.log(1)
    assert not job.copies()
    one = alone(TINY, tmp_path / "alone")
    assert apart(job.run, one) < 1e-5
    reports = [
        json.loads((path / "report.json").read_text())
        for path in (job.run, one)
    ]
    for which in ("last", "best"):
        for name in ("epoch", "test_loss", "test_accuracy"):
            ours, theirs = (report[which][name] for report in reports)
            assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize("index", [0, 1])
def test_the_chief_alone_trains_in_the_run_s_folder(
    tmp_path, monkeypatch, index
):
    config = loopback.config(["a:1", "b:2"], index)
    monkeypatch.setenv("TF_CONFIG", config)
    monkeypatch.setattr(workers.rendezvous, "meet", lambda *_: None)
    monkeypatch.setattr(workers.strategy, "create", lambda *_: None)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for file in ("run.json", "checkpoints/epoch-00001.npz", "report.md"):
        (run / file).write_text("the chief's")
    recipe = Recipe(strategy="multiworker")
    with workers.joined(recipe, run, 0.0) as (_, folder):
        folder = pathlib.Path(folder)
        assert (folder == run) == (index == 0)
        # What it goes on from is there, and what it writes is its own.
        file = folder / "checkpoints" / "epoch-00001.npz"
        assert file.read_text() == "the chief's"
        file.write_text("new")
        (folder / "report.md").write_text("new")
    written = "new" if index == 0 else "the chief's"
    assert (run / "report.md").read_text() == written
    assert (run / "checkpoints/epoch-00001.npz").read_text() == written
    assert folder.exists() == (index == 0)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_any_worker_may_be_killed_and_all_ends_bit_for_bit_alike(job, victim):
    whole, job = job(NORMED), job(NORMED)
    uninterrupted = [whole.start(0), whole.start(1)]
    assert [wait(worker, whole) for worker in uninterrupted] == [0, 0]
    pair = [job.start(0), job.start(1)]
    for _ in range(2):
        after = len(checkpoints.epochs(job.run / "checkpoints"))
        deadline = time.monotonic() + PATIENCE
        while len(checkpoints.epochs(job.run / "checkpoints")) == after:
            assert time.monotonic() < deadline, job.log(0)[-2000:]
            time.sleep(0.05)
        pair[victim].kill()
        pair[victim].wait()
        pair[victim] = job.start(victim)
    assert [wait(worker, job) for worker in pair] == [0, 0], job.log(0)
    assert apart(job.run, whole.run) == 0


def die_in_epoch(number):
    """Trains as bin/train does and is killed after two steps of an epoch."""
    from rrelu_tf.commands import train
    from rrelu_tf.training.interruption import Interruption

    class Dying(Interruption):
        epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch, logs=None):
            if (self.epoch, batch) == (number, 1):
                os.kill(os.getpid(), signal.SIGKILL)

    trainer.Interruption = Dying
    train.main([str(TRAIN), *sys.argv[2:]])


if __name__ == "__main__":
    die_in_epoch(int(sys.argv[1]))
