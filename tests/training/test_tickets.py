"""Runs with --early_bird: where they stop, and that they go on alike."""

import dataclasses
import json

import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.mask_history import MaskHistory
from rrelu_tf.training import building, checkpoints, report, trainer
from rrelu_tf.training.recipe import Recipe

# TensorFlow's determinism cannot be switched off again for other tests.
RECIPE = Recipe(
    arch="fcnn",
    epochs=9,
    batch_size=256,
    learning_rate=0.05,
    early_bird="distance",
    early_bird_score="fisher",
    early_bird_sparsity=0.3,
    deterministic=False,
)
FIXED = dataclasses.replace(
    RECIPE, early_bird="fixed", early_bird_score="l1", early_bird_epochs=2
)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trainer.train(RECIPE, tmp_path_factory.mktemp("runs") / "run")


def ticket(run):
    return json.loads((run.path / "report.json").read_text())["early_bird"]


def rows(run):
    """The history, without what was measured by a clock."""
    history = checkpoints.latest(run.checkpoints).history
    for row in history:
        del row["seconds"], row["cpu_seconds"]
    return history


def test_a_run_stops_at_its_ticket(whole, capfd):
    found = ticket(whole)
    assert whole.epochs_done == found["epoch"] == len(rows(whole)) < 9
    apart = found["distances"]
    assert apart[0] is None and apart[-1] < 0.1
    # Else it had been drawn at once.
    assert found["epoch"] == 5 or apart[-2] >= 0.1
    left = (9 - found["epoch"]) / 9
    saved = found["training_flops_saved"] / found["training_flops"]
    assert saved == pytest.approx(left)
    shown = (whole.path / "report.md").read_text()
    assert f"epoch {found['epoch']} of 9, {100 * left:.1f} % of the" in shown
    assert trainer.train(RECIPE, whole.path).epochs_done == found["epoch"]
    assert "finished already" in capfd.readouterr().out


def test_the_ticket_is_what_pruning_the_run_draws(whole):
    model, data = whole.last(), whole.data()
    scores = rrelu_tf.score(model, "fisher", data.unaugmented(10_000))
    keep = rrelu_tf.select(scores, sparsity=0.3, model=model)
    saved = json.loads((whole.path / "early_bird.json").read_text())
    assert saved["widths"] == {key: len(mask) for key, mask in keep.items()}
    history = MaskHistory()
    history.read(whole.path / "early_bird.json")
    for key, mask in history.mask(whole.epochs_done).items():
        np.testing.assert_array_equal(mask, keep[key])


@pytest.mark.parametrize("epoch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_that_was_killed_draws_the_same_ticket(
    whole, tmp_path, epoch, monkeypatch
):
    write = checkpoints.write

    def killed(folder, checkpoint):
        if checkpoint.epoch == epoch:
            raise Killed
        write(folder, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", killed)
        with pytest.raises(Killed):
            trainer.train(RECIPE, tmp_path / "run")
    run = trainer.train(RECIPE, tmp_path / "run")
    assert rows(run) == rows(whole)
    assert ticket(run) == ticket(whole)
    files = [r.path / "early_bird.json" for r in (run, whole)]
    assert files[0].read_text() == files[1].read_text()
    ends = [checkpoints.latest(r.checkpoints).model for r in (run, whole)]
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_killed_before_its_report_it_trains_no_further(tmp_path, monkeypatch):
    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(report, "write", killed)
        with pytest.raises(Killed):
            trainer.train(FIXED, tmp_path / "run")
    run = trainer.train(FIXED, tmp_path / "run")
    assert run.epochs_done == ticket(run)["epoch"] == 2
    assert ticket(run)["rule"] == "after epoch 2"


def test_a_ticket_that_is_never_drawn_is_told(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(MaskHistory, "settled", lambda *_: None)
    recipe = dataclasses.replace(RECIPE, epochs=5, early_bird_score="l1")
    run = trainer.train(recipe, tmp_path / "run")
    assert run.epochs_done == 5
    assert ticket(run)["epoch"] is None
    assert ticket(run)["training_flops_saved"] == 0
    assert "no early-bird ticket in 5 epochs" in capfd.readouterr().out
    shown = (run.path / "report.md").read_text()
    assert "none, 5 masks less than 0.1 apart never" in shown


def test_masks_that_are_missing_are_refused(tmp_path, monkeypatch):
    write = checkpoints.write

    def killed(folder, checkpoint):
        write(folder, checkpoint)
        if checkpoint.epoch == 2:
            raise Killed

    recipe = dataclasses.replace(RECIPE, early_bird_score="l1")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", killed)
        with pytest.raises(Killed):
            trainer.train(recipe, tmp_path / "run")
    (tmp_path / "run" / "early_bird.json").unlink()
    with pytest.raises(UserError, match="2 epochs done, and lacks .* epoch 1;"):
        trainer.train(recipe, tmp_path / "run")


def test_a_fixed_ticket_is_resumed_without_masks_before_it(
    tmp_path, monkeypatch
):
    write = checkpoints.write

    def killed(folder, checkpoint):
        write(folder, checkpoint)
        if checkpoint.epoch == 1:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write", killed)
        with pytest.raises(Killed):
            trainer.train(FIXED, tmp_path / "run")
    assert not (tmp_path / "run" / "early_bird.json").exists()
    run = trainer.train(FIXED, tmp_path / "run")
    assert run.epochs_done == ticket(run)["epoch"] == 2
    saved = json.loads((run.path / "early_bird.json").read_text())
    assert list(saved["masks"]) == ["2"]


def test_an_unknown_score_is_found_wrong_before_the_data_load(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(building, "load_data", lambda *_, **__: pytest.fail())
    recipe = dataclasses.replace(RECIPE, early_bird_score="bm")
    with pytest.raises(UserError, match="Received: early_bird_score=bm$"):
        trainer.train(recipe, tmp_path / "run")
