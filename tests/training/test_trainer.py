import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import building, input_wait, trainer
from rrelu_tf.training.recipe import Recipe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("arch", "resnet21"),
        ("arch", "wrn_11_1"),
        ("activation", "tanh"),
        ("optimizer", "lamb"),
        ("schedule", "linear"),
        ("strategy", "tpu"),
        ("warmup_epochs", 12),
    ],
)
def test_what_needs_no_data_is_found_wrong_before_they_load(
    name, value, tmp_path, monkeypatch
):
    def load_data(*_, **__):
        pytest.fail("the data are loaded")

    monkeypatch.setattr(building, "load_data", load_data)
    recipe = Recipe(**{name: value}, deterministic=False)
    with pytest.raises(UserError, match=f"Received: {name}={value}$"):
        trainer.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_says_when_its_steps_wait_for_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(input_wait, "_MUCH", 0.0)
    monkeypatch.setattr(input_wait, "_LITTLE", 0.0)
    recipe = Recipe(arch="fcnn", epochs=1, deterministic=False)
    trainer.train(recipe, tmp_path / "run")
    assert "warning: of epoch 1 steps spent" in capsys.readouterr().err
