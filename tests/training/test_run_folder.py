"""A small finished run, and what its folder answers."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints, claim, run_folder, trainer
from rrelu_tf.training.recipe import Recipe
from rrelu_tf.training.run_folder import Run

# TensorFlow's determinism cannot be switched off again for other tests.
RECIPE = Recipe(arch="fcnn", epochs=3, batch_size=512, deterministic=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    trainer.train(RECIPE, path)
    return path


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def accuracy(model, batches):
    model.compile(metrics=["accuracy"], loss="sparse_categorical_crossentropy")
    return model.evaluate(batches, verbose=0, return_dict=True)["accuracy"]


def test_a_run_gives_back_its_flags_models_and_data(trained):
    run = Run.open(trained)
    assert run.recipe == RECIPE
    assert run.flags["data_dir"] is None
    report = json.loads((trained / "report.json").read_text())
    data = run.data()
    for name, model in (("last", run.last()), ("best", run.best())):
        assert accuracy(model, data.test) == report[name]["test_accuracy"]
    assert accuracy(run.best(), data.validation) == pytest.approx(
        report["best"]["validation_accuracy"]
    )
    assert run.best_epoch == report["best"]["epoch"]


def test_the_report_says_what_was_run_and_on_what(trained):
    report = json.loads((trained / "report.json").read_text())
    assert report["parameters"] == 64 * 500 + 500 + 500 + 500 * 10 + 10
    assert report["slopes"] == 500
    assert report["last"]["epoch"] == 3
    assert report["last"]["slopes_alive"]["0.0"] == 500
    assert {"tensorflow", "keras"} <= set(report["versions"])
    assert "digits" in (trained / "report.md").read_text()


def test_a_finished_run_only_says_so(copy, capsys):
    before = {path: path.read_bytes() for path in files(copy)}
    trainer.train(RECIPE, copy)
    assert "finished already" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in files(copy)}


def test_a_missing_report_is_rewritten(copy):
    old = (copy / "report.md").read_text()
    (copy / "report.md").unlink()
    (copy / "metrics.csv").unlink()
    trainer.train(RECIPE, copy)
    assert (copy / "report.md").read_text() == old
    assert len((copy / "metrics.csv").read_text().splitlines()) == 4


def test_a_cut_checkpoint_is_passed_over_and_the_end_is_alike(copy, capsys):
    end = checkpoints.latest(copy / "checkpoints")
    path = checkpoints.path_of(copy / "checkpoints", 3)
    os.truncate(path, path.stat().st_size // 2)
    old = json.loads((copy / "report.json").read_text())
    (copy / "report.json").unlink()
    trainer.train(RECIPE, copy)
    assert "epoch-00003.npz" in capsys.readouterr().err
    again = checkpoints.latest(copy / "checkpoints")
    arrays = zip(
        end.model + end.optimizer, again.model + again.optimizer, strict=True
    )
    assert all(a.tobytes() == b.tobytes() for a, b in arrays)
    new = json.loads((copy / "report.json").read_text())
    assert (new["last"], new["best"]) == (old["last"], old["best"])


def test_a_broken_best_checkpoint_is_a_user_error(copy):
    run = Run.open(copy)
    history = [{"epoch": e, "val_accuracy": -e} for e in (1, 2, 3)]
    last = checkpoints.latest(run.checkpoints)
    last = dataclasses.replace(last, history=history)
    checkpoints.write(run.checkpoints, last)
    checkpoints.path_of(run.checkpoints, 1).write_bytes(b"")
    assert isinstance(run.last(), keras.Model)
    with pytest.raises(UserError, match="must be whole"):
        run.best()


def test_other_flags_are_refused_by_name(copy):
    other = dataclasses.replace(RECIPE, epochs=4, learning_rate=0.2)
    message = r"\(epochs: 3 => 4, learning_rate: 0.1 => 0.2\)"
    with pytest.raises(UserError, match=message):
        trainer.train(other, copy)


def test_other_data_are_refused(copy):
    info = json.loads((copy / "run.json").read_text())
    info["train_size"] += 1
    (copy / "run.json").write_text(json.dumps(info))
    (copy / "report.md").unlink()
    with pytest.raises(UserError, match="train_size: 1295 => 1294"):
        trainer.train(RECIPE, copy)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UserError, match="new or empty folder"):
        run_folder.find(tmp_path, RECIPE)
    with pytest.raises(UserError, match="readable run.json"):
        Run.open(tmp_path)


def test_checkpoints_without_their_flags_are_refused(copy):
    for name in ("run.json", "metrics.csv", "report.json", "report.md"):
        (copy / name).unlink()
    shutil.rmtree(copy / "tensorboard")
    with pytest.raises(UserError, match="new or empty folder"):
        run_folder.find(copy, RECIPE)


def test_a_folder_killed_before_its_first_file_is_taken(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.json.123.tmp").touch()
    (tmp_path / "checkpoints").mkdir()
    assert run_folder.find(tmp_path, RECIPE) is None


def test_another_commands_temporary_is_left_alone(copy):
    (copy / ".pruned.123.tmp").mkdir()
    (copy / ".evaluated.json.123.tmp").touch()
    own = [".metrics.csv.1.tmp", "checkpoints/.epoch-00002.npz.1.tmp"]
    for name in (*own, "plots/.slopes.png.1.tmp"):
        (copy / name).touch()
    (copy / "report.json").unlink()
    trainer.train(RECIPE, copy)
    left = sorted(path.name for path in copy.rglob("*.tmp"))
    assert left == [".evaluated.json.123.tmp", ".pruned.123.tmp"]


def test_epochs_done_and_finished_tell_a_run_that_was_stopped(copy):
    run = Run.open(copy)
    assert (run.epochs_done, run.is_finished) == (3, True)
    (copy / "report.json").unlink()
    checkpoints.path_of(run.checkpoints, 3).unlink()
    run = Run.open(copy)
    assert (run.epochs_done, run.is_finished) == (2, False)


def test_checkpoints_that_are_a_file_are_refused(tmp_path):
    (tmp_path / "checkpoints").touch()
    with pytest.raises(UserError, match=f"Received: run={tmp_path}$"):
        run_folder.find(tmp_path, RECIPE)


# The superuser may read everything: it becomes nobody, after the imports.
FIND_AS_NOBODY = """
import os, sys
from rrelu_tf.errors import UserError
from rrelu_tf.training import run_folder
from rrelu_tf.training.recipe import Recipe
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for path in sys.argv[1:]:
    try:
        print(run_folder.find(path, Recipe()))
    except UserError as error:
        print(error)
"""


def test_a_folder_that_cannot_be_read_is_a_user_error(tmp_path, repository):
    # The folder's own mode counts, and not those above: paths are relative.
    tmp_path.chmod(0o755)
    modes = {"locked": 0o000, "unlisted": 0o111, "open": 0o755}
    for name, mode in modes.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    run = subprocess.run(
        [sys.executable, "-c", FIND_AS_NOBODY, *modes, "locked/run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    message = (
        "the run folder must be readable, but: Permission denied. "
        "Received: run="
    )
    assert run.stdout.splitlines() == [
        f"{message}locked",
        f"{message}unlisted",
        "None",
        f"{message}locked/run",
    ]


def test_a_folder_that_cannot_be_written_is_a_user_error(tmp_path):
    # Under a file, since the superuser may write in any folder.
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="writable.*Received: run="):
        trainer.train(RECIPE, tmp_path / "file" / "run")


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with (
        claim.claimed(tmp_path),
        pytest.raises(UserError, match="only one process"),
        claim.claimed(tmp_path),
    ):
        pass
    with claim.claimed(tmp_path):
        pass


def test_only_a_new_folder_without_a_checkpoint_is_removed(tmp_path):
    new, old, begun = (tmp_path / name for name in ("new", "old", "begun"))
    old.mkdir()
    for path in (new, old, begun):
        with pytest.raises(UserError), claim.claimed(path):
            (path / "checkpoints").mkdir()
            if path is begun:
                checkpoints.path_of(path / "checkpoints", 0).touch()
            raise UserError
    assert not new.exists()
    assert old.is_dir()
    assert begun.is_dir()


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tmp_path):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30)
    for _ in range(2):
        with pytest.raises(UserError, match=r"epoch 1, step \d.*loss="):
            trainer.train(recipe, tmp_path / "run")
        last = checkpoints.latest(tmp_path / "run" / "checkpoints")
        assert last.epoch == 0
        assert all(np.isfinite(array).all() for array in last.model)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())
