"""Whenever training is killed, it ends with the model that it would have."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_training_that_is_killed_ends_with_the_same_model(times):
    program = pathlib.Path(__file__).with_name("killed.py")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(program), str(times)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert len(result["runs"]) == times
    for soft, deaths, final in result["runs"]:
        assert deaths > 0
        assert final == result["undisturbed"][str(soft)]
