import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.data.preprocessing import Preprocessing
from rrelu_tf.errors import UserError
from rrelu_tf.export import portable
from rrelu_tf.export.fresh_process import ExportError

PREPROCESSING = Preprocessing((0.5, 0.4), (0.25, 0.2), (8, 6, 2))
MODULES = {name: kind.needs for name, kind in portable.FORMATS.items()}

# Keras's bridge to tf2onnx, and tf2onnx, on NumPy 2.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tf2onnx"),
]


def stripped():
    """A small residual net with gathers, of 2 channels of pixels."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 6, 2))
    x = keras.layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    x = rrelu_tf.layers.BatchNormalization(name="norm")(x)
    x = rrelu_tf.layers.RReLU(name="first")(x)
    y = keras.layers.Conv2D(8, 3, padding="same", name="conv")(x)
    y = rrelu_tf.layers.RReLU(name="second")(keras.layers.Add()([x, y]))
    y = keras.layers.GlobalAveragePooling2D()(y)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(y))
    keep = {
        "stem": np.arange(8) > 1,
        "conv": np.arange(8) < 5,
        "second": np.arange(8) != 3,
    }
    return rrelu_tf.strip(rrelu_tf.mask(model, keep))


@pytest.fixture(scope="module")
def model():
    return stripped()


def pixels(count):
    """Real-looking images: smooth, and of all brightnesses."""
    draw = np.random.default_rng(1)
    coarse = draw.integers(0, 256, (count, 2, 2, 2))
    return np.kron(coarse, np.ones((1, 4, 3, 1))).astype(np.float32)


def logits(model, images):
    return np.array(model(PREPROCESSING.normalize(images)))


def write(model, out, *formats, images=None):
    for name in formats:
        for module in MODULES[name]:
            pytest.importorskip(module)
    return portable.write(
        model,
        out,
        formats,
        preprocessing=PREPROCESSING,
        representative=images,
    )


@pytest.mark.parametrize("name", ["litert", "onnx", "openvino"])
def test_float32_files_give_the_source_s_logits(model, tmp_path, name):
    (written,) = write(model, tmp_path / "out", name)
    assert written.path.parent == tmp_path / "out" / "1"
    assert written.agreement == 1 and written.difference < 1e-5
    run = written.load()
    for count in (1, 5, 2):  # batches of any size
        images = pixels(count)
        expected = logits(model, images)
        np.testing.assert_allclose(run(images), expected, atol=1e-5)
    sizes = [file.stat().st_size for file in written.path.parent.iterdir()]
    assert written.bytes == sum(sizes)


def test_float16_and_int8_are_close_and_say_how_close(model, tmp_path):
    images = pixels(40)
    half, small = write(
        model, tmp_path, "litert_float16", "litert_int8", images=images
    )
    expected = logits(model, images)
    scale = np.abs(expected).max()
    for written, most in ((half, 2e-2), (small, 0.2)):
        given = np.array(written.load()(images))
        difference = np.abs(given - expected).max() / scale
        assert difference == pytest.approx(written.difference, rel=1e-3)
        assert 0 < difference < most
        same = np.mean(given.argmax(1) == expected.argmax(1))
        assert written.agreement == pytest.approx(same)


def test_int8_takes_uint8_pixels_as_they_are(model, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    dark = pixels(8) / 4  # no pixel is white
    (written,) = write(model, tmp_path, "litert_int8", images=dark)
    loaded = interpreter.Interpreter(model_path=str(written.path))
    (taken,) = loaded.get_input_details()
    assert taken["dtype"] is np.uint8
    assert taken["quantization"] == (1.0, 0)


def test_versions_count_up_and_are_whole(model, tmp_path):
    write(model, tmp_path, "litert")
    write(model, tmp_path, "litert", "litert_float16")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"]
    files = sorted(p.name for p in (tmp_path / "2").iterdir())
    assert files == ["model.tflite", "model_float16.tflite"]


def test_a_file_that_gives_other_logits_is_not_written(
    model, tmp_path, monkeypatch
):
    pytest.importorskip("ai_edge_litert")
    kind = portable.FORMATS["litert"]

    def load(path):
        right = kind.load(path)
        return lambda images: right(images) * [1, 1, 1.001]

    wrong = kind._replace(load=load)
    monkeypatch.setitem(portable.FORMATS, "litert", wrong)
    with pytest.raises(ExportError, match="within 0.0001. Received: litert="):
        write(model, tmp_path / "out", "litert")
    assert not (tmp_path / "out").exists()


def test_what_a_format_cannot_hold_is_one_line(tmp_path, capfd):
    class Exponential(keras.layers.Layer):
        def call(self, inputs):
            import tensorflow as tf

            square = tf.matmul(inputs, inputs, transpose_a=True)
            return tf.linalg.expm(square)

    inputs = keras.Input((8, 6, 2))
    x = Exponential()(keras.layers.Reshape((48, 2))(inputs))
    x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, x)
    dark = Preprocessing((0.0, 0.0), (99.0, 99.0), (8, 6, 2))
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(UserError, match="format=litert$") as caught:
        portable.write(model, tmp_path, ["litert"], preprocessing=dark)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert "error" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "raised, message",
    [
        (ValueError(), "operation of the model, but: ValueError. Rec.*=litert"),
        (RuntimeError("No X.\nno"), "the model, but: No X. Received: .*litert"),
        (
            OSError(28, "No space left"),
            "1 must be writable, but: No space left",
        ),
        (MemoryError(), "^$"),
    ],
)
def test_why_a_file_was_not_written_is_told_as_it_is(
    model, tmp_path, monkeypatch, raised, message
):
    def fail(*_):
        raise raised

    kind = portable.FORMATS["litert"]._replace(write=fail)
    monkeypatch.setitem(portable.FORMATS, "litert", kind)
    with pytest.raises((UserError, MemoryError), match=message) as caught:
        write(model, tmp_path / "out", "litert")
    assert isinstance(raised, MemoryError) == (caught.value is raised)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "formats, images, received",
    [
        (["tflite"], None, "format=tflite"),
        ("litert", None, "formats=litert"),
        (["litert_int8"], None, "representative=None"),
        (["litert_int8"], np.zeros((4, 8, 6)), r"shape=\(4, 8, 6\)"),
        (["litert_int8"], np.zeros((0, 8, 6, 2)), r"shape=\(0, 8, 6, 2\)"),
        (["litert_int8"], np.full((4, 8, 6, 2), -0.5), "lowest=-0.5"),
        (["litert_int8"], [[[1.0]], [[1.0, 2.0]]], "representative=list"),
        (["litert_int8"], ["cat.png", "dog.png"], "representative=list"),
    ],
)
def test_bad_arguments_are_refused(model, tmp_path, formats, images, received):
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(UserError, match=f"Received: .*{received}"):
        portable.write(
            model,
            tmp_path / "out",
            formats,
            preprocessing=PREPROCESSING,
            representative=images,
        )
    assert not (tmp_path / "out").exists()


class Subclassed(keras.Model):
    def call(self, images):
        return images[:, 0, 0]


@pytest.mark.parametrize("other", [Subclassed(), keras.Sequential(), "net"])
def test_what_has_no_graph_is_refused_in_one_line(tmp_path, other):
    with pytest.raises(UserError, match=r"functional or.* model=\w+$"):
        portable.write(
            other, tmp_path / "out", ["onnx"], preprocessing=PREPROCESSING
        )
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named(model, tmp_path, monkeypatch):
    kind = portable.FORMATS["onnx"]._replace(needs=("no_such_module",))
    monkeypatch.setitem(portable.FORMATS, "onnx", kind)
    with pytest.raises(UserError, match="no_such_module.*format=onnx"):
        portable.write(model, tmp_path, ["onnx"], preprocessing=PREPROCESSING)
