import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from rrelu_tf.analysis import export_table
from rrelu_tf.data.preprocessing import Preprocessing
from rrelu_tf.export import portable, saved_model, written

PREPROCESSING = Preprocessing((0.5,), (0.25,), (4, 3, 1))

# Keras 3.15 saves variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 3, 1))
    x = keras.layers.Dense(3)(keras.layers.Flatten()(images))
    return keras.Model(images, x)


@pytest.fixture
def file(model, tmp_path):
    path = saved_model.write(
        model,
        tmp_path,
        preprocessing=PREPROCESSING,
        class_names=list("abc"),
        in_fresh_process=False,
    )
    return written.saved_model(path, model, PREPROCESSING)


def test_a_saved_model_is_compared_as_other_files_are(file):
    assert file.format == "saved_model"
    assert file.difference < 1e-6 and file.agreement == 1
    sizes = [p.stat().st_size for p in file.path.rglob("*") if p.is_file()]
    assert file.bytes == sum(sizes) > 1000


def test_each_row_is_timed_from_pixels_to_logits(model, file, monkeypatch):
    measured = []
    measure = export_table.latency.measure

    def watch(call, batch, **options):
        measured.append((call, batch))
        return measure(call, batch, **options)

    monkeypatch.setattr(export_table.latency, "measure", watch)
    table = export_table.measure(model, [file], PREPROCESSING)
    assert [row[0] for row in table.rows] == ["Keras, the source", file.format]
    assert [len(batch) for _, batch in measured] == [1, 32, 1, 32]
    for call, batch in measured:
        assert np.max(batch) > 200
        given = call(tf.constant(batch))
        expected = model(PREPROCESSING.normalize(batch))
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


def test_no_name_of_a_format_is_cut_in_a_terminal(capsys):
    names = ["saved_model", *portable.FORMATS]
    cells = ("1,312,792", "2.8e-02", "100.0 %", "1000.04", "1000.80")
    table = export_table.ExportTable([(name, *cells) for name in names])
    table.print(Console(width=80))
    said = capsys.readouterr().out
    assert all(f" {name} " in said for name in names)
