"""The exported model in a process that cannot import rrelu_tf."""

import keras
import numpy as np
import pytest

from rrelu_tf.data.preprocessing import Preprocessing
from rrelu_tf.export import fresh_process, saved_model
from rrelu_tf.layers import RReLU

PREPROCESSING = Preprocessing((0.5,), (0.25,), (4, 4, 1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    images = keras.Input((4, 4, 1))
    x = RReLU()(keras.layers.Dense(5)(keras.layers.Flatten()(images)))
    model = keras.Model(images, keras.layers.Dense(3)(x), name="tiny")
    folder = saved_model.write(
        model,
        tmp_path_factory.mktemp("serving"),
        preprocessing=PREPROCESSING,
        class_names=["a", "b", "c"],
        in_fresh_process=False,
    )
    raw = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), np.uint8)
    logits = model(PREPROCESSING.apply(raw))
    return folder, raw, keras.ops.convert_to_numpy(keras.ops.softmax(logits))


def test_a_process_without_the_package_gives_the_same_answers(exported):
    folder, raw, probabilities = exported
    assert fresh_process.check(folder, raw, probabilities) < 1e-6


def test_other_answers_are_an_error(exported):
    folder, raw, probabilities = exported
    with pytest.raises(fresh_process.ExportError, match="difference="):
        fresh_process.check(folder, raw, probabilities[::-1])


def test_a_folder_that_does_not_load_is_an_error(exported, tmp_path):
    _, raw, probabilities = exported
    with pytest.raises(fresh_process.ExportError, match="must load"):
        fresh_process.check(tmp_path, raw, probabilities)


def test_a_model_whose_fresh_answers_differ_is_not_left_behind(
    tmp_path, monkeypatch
):
    def wrong(folder, images, probabilities, *, tolerance):
        assert (folder / "saved_model.pb").exists()
        raise fresh_process.ExportError("planted")

    monkeypatch.setattr(fresh_process, "check", wrong)
    images = keras.Input((4, 4, 1))
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(images))
    with pytest.raises(fresh_process.ExportError, match="planted"):
        saved_model.write(
            keras.Model(images, logits),
            tmp_path / "out",
            preprocessing=PREPROCESSING,
            class_names=["a", "b", "c"],
        )
    assert not (tmp_path / "out").exists()
