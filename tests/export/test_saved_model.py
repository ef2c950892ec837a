import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from rrelu_tf.data.preprocessing import Preprocessing
from rrelu_tf.errors import UserError
from rrelu_tf.export import saved_model, serving_warmup
from rrelu_tf.layers import BatchNormalization, ChannelGather, RReLU

CLASSES = ["cat", "dog", "bird"]
PREPROCESSING = Preprocessing((0.5, 0.4), (0.25, 0.2), (6, 5, 2))


def small(dtype="float32", shape=(6, 5, 2)):
    """A classifier with every layer of this package's own."""
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3, dtype=dtype)(inputs)
    x = BatchNormalization(dtype=dtype)(x)
    x = RReLU(dtype=dtype)(x)
    x = ChannelGather([3, -1, 0, 7], dtype=dtype)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    outputs = keras.layers.Dense(3, dtype=dtype)(x)
    return keras.Model(inputs, outputs, name="small")


def images(count, shape=(6, 5, 2)):
    """Random pixels, each image of another brightness."""
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (count, *shape))
    bright = draw.uniform(0, 1, (count, 1, 1, shape[-1]))
    return (pixels * bright).astype(np.uint8)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small()


@pytest.fixture(autouse=True)
def no_second_process(monkeypatch):
    """The check in another process has tests of its own; it takes seconds."""
    monkeypatch.setattr(
        saved_model.fresh_process, "check", lambda *args, **options: 0.0
    )


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "deep" / "small"
    return saved_model.write(
        model, out, preprocessing=PREPROCESSING, class_names=CLASSES
    )


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported))


def probabilities(model, raw):
    logits = model(PREPROCESSING.apply(tf.constant(raw)), training=False)
    return tf.nn.softmax(logits).numpy()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_both_signatures_give_the_source_s_outputs(loaded, model, count):
    raw = images(count)
    normal = PREPROCESSING.apply(tf.constant(raw))
    served = loaded.signatures["serving_default"](images=tf.constant(raw))
    floats = loaded.signatures["normalized"](images=normal)
    expected = probabilities(model, raw)
    assert set(served) == {"classes", "probabilities"}
    assert set(floats) == {"classes", "probabilities", "logits"}
    for given in (served, floats):
        np.testing.assert_allclose(given["probabilities"], expected, atol=1e-6)
        np.testing.assert_array_equal(given["classes"], expected.argmax(-1))
        assert given["classes"].dtype == tf.int64
        assert given["probabilities"].dtype == tf.float32
    np.testing.assert_allclose(
        floats["logits"], model(normal, training=False), rtol=1e-5, atol=1e-5
    )
    if count > 1:
        assert np.ptp(expected, axis=0).max() > 0.01, "images must differ"


def test_the_folder_is_what_serving_expects(exported):
    assert exported.name == "1"
    assert {"saved_model.pb", "variables"} < set(os.listdir(exported))
    assert os.listdir(exported.parent) == ["1"]
    extra = exported / "assets.extra"
    assert (extra / "labels.txt").read_text() == "cat\ndog\nbird\n"


def test_each_weight_is_written_once(exported, model):
    checkpoint = tf.train.load_checkpoint(str(exported / "variables/variables"))
    shapes = checkpoint.get_variable_to_shape_map()
    shapes.pop("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert sum(map(np.prod, shapes.values())) == model.count_params()


def test_the_example_request_is_a_batch_of_whole_numbers(exported, loaded):
    request = json.loads(
        (exported / "assets.extra" / "request.json").read_text()
    )
    raw = np.array(request["instances"])
    assert raw.dtype == np.int64
    raw = tf.constant(raw.astype(np.uint8))
    given = loaded.signatures["serving_default"](images=raw)
    assert given["classes"].shape == (1,)


def test_the_warm_up_requests_fit_the_signatures(exported, loaded):
    file = exported / "assets.extra" / serving_warmup.FILE
    seen = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = serving_warmup.prediction_log()
        log.ParseFromString(record)
        request = log.predict_log.request
        seen.append(request.model_spec.signature_name)
        tensor = request.inputs["images"].SerializeToString()
        array = tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor))
        loaded.signatures[seen[-1]](images=tf.constant(array))
    assert seen == ["serving_default", "normalized"]


def test_a_process_without_this_package_loads_it(exported, model, tmp_path):
    raw = images(4)
    np.save(tmp_path / "images.npy", raw)
    script = f"""
import sys
sys.modules["rrelu_tf"] = None  # makes its import fail
sys.modules["keras"] = None
import numpy as np, tensorflow as tf
serve = tf.saved_model.load({str(exported)!r}).signatures["serving_default"]
images = tf.constant(np.load({str(tmp_path / "images.npy")!r}))
np.save({str(tmp_path / "given.npy")!r}, serve(images=images)["probabilities"])
"""
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=300
    )
    np.testing.assert_allclose(
        np.load(tmp_path / "given.npy"), probabilities(model, raw), atol=1e-6
    )


def test_saved_model_cli_runs_it(exported, model, tmp_path):
    raw = images(2)
    np.save(tmp_path / "images.npy", raw)
    cli = pathlib.Path(sys.executable).with_name("saved_model_cli")
    done = subprocess.run(
        [
            *(str(cli), "run", "--dir", str(exported)),
            *("--tag_set", "serve", "--signature_def", "serving_default"),
            *("--inputs", f"images={tmp_path / 'images.npy'}"),
            *("--outdir", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    given = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(given, probabilities(model, raw), atol=1e-6)


def test_openvino_reads_it(exported, model):
    openvino = pytest.importorskip("openvino")
    raw = images(5)
    core = openvino.Core()
    # OpenVINO computes in bfloat16 on CPUs that have it, unless told.
    compiled = core.compile_model(
        core.read_model(exported), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    given = compiled(raw)
    expected = probabilities(model, raw)
    by_name = {
        name: given[port] for port in compiled.outputs for name in port.names
    }
    np.testing.assert_allclose(by_name["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(by_name["classes"], expected.argmax(-1))


def test_versions_count_up_and_are_never_replaced(tmp_path):
    tiny = keras.Sequential(
        [keras.Input((6, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    options = {"preprocessing": PREPROCESSING, "class_names": CLASSES}
    (tmp_path / "notes").mkdir()
    assert saved_model.write(tiny, tmp_path, **options).name == "1"
    assert saved_model.write(tiny, tmp_path, version=7, **options).name == "7"
    assert saved_model.write(tiny, tmp_path, **options).name == "8"
    before = (tmp_path / "7" / "saved_model.pb").stat()
    for version in (7, 0):
        with pytest.raises(UserError, match=f"Received: version={version}$"):
            saved_model.write(tiny, tmp_path, version=version, **options)
    assert (tmp_path / "7" / "saved_model.pb").stat() == before
    assert sorted(os.listdir(tmp_path)) == ["1", "7", "8", "notes"]


def test_images_of_any_size_go_in_where_the_preprocessing_resizes(tmp_path):
    resizing = Preprocessing((0.5, 0.4), (0.25, 0.2), (6, 5, 2), resize=7)
    model = small()
    path = saved_model.write(
        model, tmp_path, preprocessing=resizing, class_names=CLASSES
    )
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    for shape in ((9, 30, 2), (40, 8, 2)):
        raw = tf.constant(images(2, shape))
        expected = tf.nn.softmax(model(resizing.apply(raw), training=False))
        given = serve(images=raw)["probabilities"]
        np.testing.assert_allclose(given, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
def test_outputs_are_float32_whatever_the_model_computes_in(tmp_path, dtype):
    path = saved_model.write(
        small(dtype), tmp_path, preprocessing=PREPROCESSING, class_names=CLASSES
    )
    for signature in tf.saved_model.load(str(path)).signatures.values():
        types = {k: v.dtype for k, v in signature.structured_outputs.items()}
        assert types.pop("classes") == tf.int64
        assert set(types.values()) == {tf.float32}


class Drifting(Preprocessing):
    """Gives other values each time that it is called: no export is equal."""

    calls = []

    def apply(self, images):
        self.calls.append(1)
        return super().apply(images) + 0.5 * len(self.calls)


def test_an_export_that_is_not_equal_leaves_nothing_behind(model, tmp_path):
    drifting = Drifting((0.5, 0.4), (0.25, 0.2), (6, 5, 2))
    out = tmp_path / "deep" / "small"
    with pytest.raises(saved_model.ExportError, match="differ from the source"):
        saved_model.write(
            model, out, preprocessing=drifting, class_names=CLASSES
        )
    assert os.listdir(tmp_path) == []


def nan(model):
    model = keras.models.clone_model(model)
    model.layers[-1].bias.assign([np.nan] * 3)
    return model


def softmax():
    inputs = keras.Input((6, 5, 2))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))


@pytest.mark.parametrize(
    "case, rule",
    [
        (lambda: (nan(small()), CLASSES), "finite logits.*Received: logits="),
        (lambda: (small(), CLASSES[:2]), "one logit per class.*classes=2$"),
        (lambda: (small(shape=(7, 5, 2)), CLASSES), "image_shape=6 x 5 x 2$"),
        (lambda: (softmax(), CLASSES), "last layer is a softmax.*Received:"),
        (lambda: (small(), ["a", "b\nc", "d"]), r"class_name='b\\nc'$"),
    ],
    ids=["NaN", "classes", "shape", "softmax", "class name"],
)
def test_what_cannot_be_served_is_one_line(tmp_path, case, rule):
    model, class_names = case()
    with pytest.raises(UserError) as caught:
        saved_model.write(
            model,
            tmp_path / "out",
            preprocessing=PREPROCESSING,
            class_names=class_names,
        )
    assert re.search(rule, str(caught.value))
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_line(model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="must be writable.*Received: out="):
        saved_model.write(
            model,
            tmp_path / "file" / "out",
            preprocessing=PREPROCESSING,
            class_names=CLASSES,
        )
