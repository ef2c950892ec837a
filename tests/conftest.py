"""What every test shares: the fixtures' folder, and seeds."""

import gc
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# pytest's import mode puts no folder of tests on the path. Last: the folders
# in it are called as packages are.
sys.path.append(str(ROOT / "tests"))


@pytest.fixture
def repository():
    """The checkout's top folder."""
    return ROOT


@pytest.fixture
def shared():
    """The folder of reference numbers and data sets beside the checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("../shared (reference numbers and data) is not here")
    return folder


@pytest.fixture(scope="session")
def channels_first():
    """Skips where TensorFlow convolves channels-last images only."""
    import tensorflow as tf

    image, kernel = tf.ones((1, 1, 2, 2)), tf.ones((1, 1, 1, 1))
    try:
        tf.nn.conv2d(image, kernel, 1, "VALID", "NCHW")
    except tf.errors.UnimplementedError:
        pytest.skip(
            "TensorFlow convolves channels_first on this CPU with oneDNN alone"
            " (TF_ENABLE_ONEDNN_OPTS=1), which it leaves off here"
        )


@pytest.fixture
def torch():
    """PyTorch, an optional extra, drawing the same numbers for every test."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.manual_seed(0)
    return torch


@pytest.fixture
def authors(shared):
    """Of an OrthoReg authors' net: (float64 model, images, their numbers)."""
    import keras
    import numpy as np

    from rrelu_tf import models

    files = {"vgg13": "vgg13", "resnet56_b": "resnet56"}

    def load(arch):
        npz = shared / "fixtures" / "orthoreg" / f"{files[arch]}.npz"
        keras.config.set_dtype_policy("float64")
        model = models.create(arch, num_classes=100)
        models.load_seed_weights(model, npz)
        arrays = np.load(npz)
        pixels = arrays["images_u8"].astype("float32") / 255
        return model, (pixels - 0.5) / 0.5, arrays

    return load


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whichever tests ran before it."""
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module", autouse=True)
def settled():
    """What a file of tests leaves behind is no more looked through.

    TensorFlow keeps millions of objects, and each search for garbage went
    through all of them: for up to half a minute, in the middle of a test.
    """
    yield
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Tests marked `gpu` are skipped, saying so, on machines without one."""
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return
    skip = pytest.mark.skip(reason="TensorFlow sees no GPU on this machine")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
