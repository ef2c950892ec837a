"""The net of `fcnn_checkpoint`, which tests of its folder import."""

import pathlib
import sys

import pytest

from rrelu_tf import models

# pytest's import mode puts no folder of tests on the path.
sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def fcnn():
    return models.create(
        "fcnn", num_classes=2, input_shape=(2, 2, 1), activation="rrelu"
    )
