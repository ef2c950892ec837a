"""Whenever training is killed, it ends with the model that it would have."""

import pathlib

import child
import pytest


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_training_that_is_killed_ends_with_the_same_model(times):
    program = pathlib.Path(__file__).with_name("killed.py")
    result = child.result(child.piped(program, times))
    assert len(result["runs"]) == times
    for soft, deaths, final in result["runs"]:
        assert deaths > 0
        assert final == result["undisturbed"][str(soft)]
