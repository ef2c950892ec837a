import json
import os
import re
import shlex
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.commands import export, prune, train

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"

# Keras 3.15 saves variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def no_second_process(monkeypatch):
    """The check in another process has tests of its own; it takes seconds."""
    monkeypatch.setattr(
        "rrelu_tf.export.fresh_process.check", lambda *args, **options: 0.0
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    assert not train.main(
        ["train", "--arch=fcnn", "--epochs=1", f"--run={run}", IN_PROCESS]
    )
    return run


@pytest.fixture(scope="module")
def pruned(trained):
    assert not prune.main(["prune", f"--run={trained}", "--zeta=0.8"])
    return trained


def run(*arguments):
    return export.main(["export", *map(str, arguments)])


def fc1_width(path):
    loaded = tf.saved_model.load(str(path))
    return {v.shape[-1] for v in loaded._all_variables if v.shape[0] == 64}


def test_the_pruned_model_is_preferred_and_named(pruned, tmp_path, capfd):
    for which, width in (("auto", None), ("best", 500), ("last", 500)):
        out = tmp_path / which
        assert run(f"--run={pruned}", f"--which={which}", f"--out={out}") == 0
        (found,) = fc1_width(out / "1")
        assert found == width or (width is None and 0 < found < 500)
        assert str(out / "1") in capfd.readouterr().out


def test_the_commands_printed_fit_what_was_written(pruned, capfd):
    assert run(f"--run={pruned}") == 0
    lines = capfd.readouterr().out.splitlines()
    docker = shlex.split(next(li for li in lines if li.startswith("docker")))
    curl = shlex.split(next(li for li in lines if li.startswith("curl")))
    source, target, _ = docker[docker.index("-v") + 1].split(":")
    assert os.listdir(source) == ["1"]
    assert f"MODEL_NAME={target.removeprefix('/models/')}" in docker
    name = target.removeprefix("/models/")
    assert curl[-1].endswith(f":8501/v1/models/{name}/versions/1:predict")
    with open(curl[curl.index("-d") + 1].removeprefix("@")) as file:
        images = np.array(json.load(file)["instances"], np.uint8)
    serve = tf.saved_model.load(f"{source}/1").signatures["serving_default"]
    assert serve(images=tf.constant(images))["probabilities"].shape == (1, 10)
    assert run(f"--run={pruned}") == 0
    assert sorted(os.listdir(source)) == ["1", "2"]


def test_a_file_takes_its_manifest_or_the_data_that_flags_name(
    pruned, tmp_path
):
    model = pruned / "pruned" / "model.keras"
    assert run(f"--model={model}", f"--out={tmp_path / 'a'}") == 0
    alone = tmp_path / "alone.keras"
    shutil.copy(model, alone)
    assert run(f"--model={alone}", f"--out={tmp_path / 'b'}") == 0
    labels = tmp_path / "b" / "1" / "assets.extra" / "labels.txt"
    assert labels.read_text().split() == list("0123456789")


def half(trained, tmp_path):
    content = (trained / "pruned" / "model.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(content[: len(content) // 2])
    return [f"--model={tmp_path}/half.keras"]


def misfit(trained, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.save(tmp_path / "misfit.keras")
    return [f"--model={tmp_path}/misfit.keras"]


@pytest.mark.parametrize(
    "given, rule",
    [
        (lambda *_: [], "Give --run or --model"),
        (lambda *_: ["--run=missing"], "run=missing$"),
        (lambda *_: ["--model=missing.keras"], "model=missing.keras$"),
        (lambda *_: ["--model=model.h5"], "a .keras file.*model=model.h5$"),
        (half, "whole and readable.*half.keras$"),
        (misfit, "one logit per class.*classes=10$"),
        (
            lambda *given: [
                *misfit(*given),
                "--dataset=digits",
                "--format=onnx",
            ],
            "one logit per class.*classes=10$",
        ),
        (lambda t, _: [f"--run={t}", "--version=0"], "version=0$"),
        (
            lambda t, _: [f"--run={t}", "--which=best", "--dataset=mnist"],
            "dataset=mnist$",
        ),
        (lambda *_: ["--which=worst"], "worst"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    pruned, tmp_path, capfd, given, rule
):
    out = tmp_path / "out"
    arguments = given(pruned, tmp_path)
    capfd.readouterr()
    assert run(*arguments, f"--out={out}") == 2
    error = capfd.readouterr().err.strip()
    assert re.fullmatch(r"error: .*", error), error
    assert re.search(rule, error)
    assert not out.exists()


def test_portable_files_lie_beside_a_table_of_them(pruned, capfd):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("openvino")
    formats = "litert,saved_model,litert_int8,openvino"
    options = [f"--format={formats}", "--representative=20"]
    assert run(f"--run={pruned}", *options) == 0
    folder = pruned / "exported" / "1"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("model.bin", "model.tflite", "model.xml", "model_int8.tflite"),
        "table.md",
    ]
    table = (folder / "table.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == [
        *("| Keras, the source", "| saved_model"),
        *("| litert", "| litert_int8", "| openvino"),
    ]
    assert str(folder) in capfd.readouterr().out


@pytest.mark.parametrize(
    "options, received",
    [
        (["--format=tflite"], "format=tflite"),
        (["--format="], "format="),
        (["--format=onnx", "--representative=0"], "representative=0"),
        (
            ["--format=saved_model,onnx", "--out=there"],
            "format=saved_model,onnx",
        ),
    ],
)
def test_bad_formats_are_one_line(trained, capfd, options, received):
    assert run(f"--run={trained}", *options) == 2
    error = capfd.readouterr().err
    assert error.endswith(f"Received: {received}\n") and error.count("\n") == 1


def test_int8_of_a_model_without_data_says_what_is_missing(
    pruned, tmp_path, capfd
):
    pytest.importorskip("ai_edge_litert")
    model = pruned / "pruned" / "model.keras"
    options = ["--format=litert_int8", f"--out={tmp_path}"]
    assert run(f"--model={model}", *options) == 2
    assert capfd.readouterr().err.endswith("representative=None\n")
