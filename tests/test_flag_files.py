"""Each flag file says what it is, and describes a run that can begin."""

import pathlib

import pytest

from rrelu_tf.commands import train
from rrelu_tf.training import building

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "flags").rglob("*.flags"))
SIDES = {"imagenet": 224, "digits": 8, "mnist": 28}


def recipe(path):
    values = train.FLAGS
    values.unparse_flags()
    for name in values:
        values[name].unparse()
    values(["train", f"--flagfile={path}"])
    return train._recipe(values)


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_a_flag_file_describes_a_run_that_can_begin(path):
    found = recipe(path)
    building.check(found)
    assert found.activation in path.stem or found.gamma_l1
    assert found.network.removeprefix(f"{found.dataset}-").split("-")[0] in (
        path.stem
    )
    assert bool(found.slope_l1) == ("l1" in path.stem or "digits" in str(path))
    assert bool(found.two_step_epochs) == ("two_step" in path.stem)


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_a_flag_file_opens_with_what_it_is(path):
    text = path.read_text()
    assert text.startswith("# ")
    for heading in ("# Recipe: ", "# Cost: ", "# Expected: "):
        assert heading in text
    assert all(len(line) <= 80 for line in text.splitlines())
