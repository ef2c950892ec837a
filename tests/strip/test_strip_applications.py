"""strip on every constructor of keras.applications, without a special case.

A small input; random weights and statistics; a random half of the channels of
every layer with a kernel masked, the output layer apart, nested models
included.
"""

import importlib.util
import pathlib
import sys

import pytest

import rrelu_tf

_CI = (
    "ConvNeXtTiny",
    "DenseNet121",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "ResNet50V2",
    "VGG16",
    "Xception",
)


def _load():
    """`benchmarks/applications.py`, which has its row of each from here."""
    folder = pathlib.Path(__file__).parents[2] / "benchmarks"
    path = folder / "applications.py"
    spec = importlib.util.spec_from_file_location("applications", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    spec.loader.exec_module(module)
    sys.path.remove(str(folder))
    return module


applications = _load()


NAMES = sorted(applications.constructors())


def _masked(name):
    """The masked model, of a small input, and what its mask keeps."""
    # Of 32 x 32 pixels a deep net leaves one behind: float32 shows it.
    options = {"classes": 10, "input_shape": (64, 64, 3)}
    try:
        model = applications.create(name, **options)
    except ValueError as error:
        if "at least 7" not in str(error):  # 71 and 75: the Inceptions
            raise
        options["input_shape"] = (75, 75, 3)
        model = applications.create(name, **options)
    keep = applications.halves(model)
    return applications.masked(model, keep), keep


def test_there_are_forty():
    assert len(NAMES) == 40
    assert set(_CI) < set(NAMES)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in _CI else pytest.mark.slow)
        for name in NAMES
    ],
)
def test_stripped_equals_masked_and_every_masked_channel_is_gone(name):
    masked, keep = _masked(name)
    small = rrelu_tf.strip(masked)
    inputs = applications.images(masked, 3)
    assert applications.difference(masked, small, inputs) <= 1e-5
    stays = applications.left(keep, small)
    assert {
        key: list(which) for key, which in stays.items() if which.size
    } == {}
    kept = rrelu_tf.kept(small)
    for layer in rrelu_tf.profile(small).layers:
        if layer.key in keep:
            assert layer.output_shape[-1] == len(kept[layer.key])
    assert small.count_params() < 0.6 * masked.count_params()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_stripped_equals_masked_in_float64(name):
    masked, _ = _masked(name)
    proof = rrelu_tf.verify(masked, rrelu_tf.strip(masked), samples=2)
    assert proof.dtype == "float64"
    assert proof.relative <= 1e-10
