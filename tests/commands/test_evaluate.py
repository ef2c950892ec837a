import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf import data, models
from rrelu_tf.analysis import orthogonality, ptflops
from rrelu_tf.commands import evaluate, export, prune, train
from rrelu_tf.models import seed_weights

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"

# Keras 3.15 saves variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    flags = ("--arch=fcnn", "--epochs=1", "--learning_rate=0.02")
    assert not train.main(["train", *flags, f"--run={run}", IN_PROCESS])
    return run


@pytest.fixture(scope="module")
def model(trained):
    from rrelu_tf.training.run_folder import Run

    return Run.open(trained).best()


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    """A run on data normalised otherwise than by default, pruned."""
    run = tmp_path_factory.mktemp("runs") / "run"
    flags = ("--arch=fcnn", "--epochs=1", "--normalization=standard")
    assert not train.main(["train", *flags, f"--run={run}", IN_PROCESS])
    assert not prune.main(["prune", f"--run={run}", "--zeta=0.8"])
    return run


def run(*arguments):
    return evaluate.main(["evaluate", *map(str, arguments)])


def figures(tmp_path, *arguments):
    assert run(*arguments, f"--json={tmp_path / 'figures.json'}") == 0
    return json.loads((tmp_path / "figures.json").read_text())


def expected(model, batches):
    """(accuracy, loss) by Keras."""
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    loss, accuracy = model.evaluate(batches, verbose=0)
    return pytest.approx(accuracy), pytest.approx(loss, rel=1e-5)


def test_a_run_s_figures_are_those_of_its_report(trained, tmp_path):
    found = figures(tmp_path, f"--run={trained}")
    report = json.loads((trained / "report.json").read_text())["best"]
    assert found["accuracy"] == pytest.approx(report["test_accuracy"])
    assert found["loss"] == pytest.approx(report["test_loss"], rel=1e-4)
    assert found["examples"] == data.load("digits").test_size


@pytest.mark.parametrize("split", ["validation", "train"])
def test_each_split_is_evaluated_without_augmentation(
    trained, model, tmp_path, split
):
    found = figures(tmp_path, f"--run={trained}", f"--split={split}")
    loaded = data.load("digits", augmentation="none")
    batches = loaded.validation
    if split == "train":
        batches = loaded.train()
    assert (found["accuracy"], found["loss"]) == expected(model, batches)
    assert found["examples"] == getattr(loaded, f"{split}_size")


def test_a_file_and_a_saved_model_equal_the_run(trained, model, tmp_path):
    model.save(tmp_path / "model.keras")
    out = tmp_path / "out"
    assert not export.main(["export", f"--run={trained}", f"--out={out}"])
    by_run = figures(tmp_path, f"--run={trained}")
    for path in (tmp_path / "model.keras", out, out / "1"):
        found = figures(tmp_path, f"--model={path}")
        assert found["accuracy"] == by_run["accuracy"]
        assert found["loss"] == pytest.approx(by_run["loss"], rel=1e-5)


@pytest.mark.parametrize("given", [[], ["--normalization=standard"]])
def test_a_pruned_file_is_evaluated_as_its_manifest_says(
    standard, tmp_path, given
):
    model = standard / "pruned" / "model.keras"
    found = figures(tmp_path, f"--model={model}", *given)
    by_run = figures(tmp_path, f"--run={standard}", "--which=pruned")
    assert found["accuracy"] == by_run["accuracy"]
    assert found["loss"] == by_run["loss"]


@pytest.mark.parametrize(
    "given, rule",
    [
        ("--normalization=unit", "leave --normalization out.*=unit$"),
        ("--image_size=8", "leave --image_size out.*image_size=8$"),
    ],
)
def test_flags_that_contradict_the_manifest_are_refused(
    standard, capfd, given, rule
):
    capfd.readouterr()
    model = standard / "pruned" / "model.keras"
    assert run(f"--model={model}", given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(rule, line), line


@pytest.mark.parametrize(
    "damage, rule",
    [
        (lambda found: found.pop("mean"), "must be whole.*m.keras$"),
        (
            lambda found: found.update(image_shape=[9, 8, 1]),
            "images of 9 x 8 x 1.*image_shape=8 x 8 x 1$",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    standard, model, tmp_path, capfd, damage, rule
):
    manifest = json.loads((standard / "pruned/manifest.json").read_text())
    damage(manifest["preprocessing"])
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    model.save(tmp_path / "m.keras")
    capfd.readouterr()
    assert run(f"--model={tmp_path / 'm.keras'}") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(rule, line), line


def test_plots_of_no_slopes_are_refused_before_the_evaluation(tmp_path, capfd):
    arguments = saved("m.keras", (8, 8, 1), 10)(None, tmp_path)
    capfd.readouterr()
    assert run(*arguments, "--plots") == 2
    out, err = capfd.readouterr()
    assert err.endswith(f"model={tmp_path / 'm.keras'}\n")
    assert out == ""


def test_a_saved_model_without_raw_input_takes_normalised_images(
    trained, model, tmp_path
):
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "normalized",
        lambda images: {"probabilities": tf.nn.softmax(model(images))},
        [tf.TensorSpec((None, 8, 8, 1), tf.float32, name="images")],
    )
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    found = figures(tmp_path, f"--model={tmp_path / 'saved'}")
    by_run = figures(tmp_path, f"--run={trained}")
    assert found["loss"] == pytest.approx(by_run["loss"], rel=1e-5)


def test_flops_latency_and_plots_come_on_request(trained, tmp_path, capfd):
    options = ("--flops", "--latency", "--plots", "--batch_size=16")
    found = figures(tmp_path, f"--run={trained}", *options)
    assert (found["weights"], found["flops"]) == (37_000, 74_000)
    assert found["latency"]["cpu_ms"] > 0
    assert found["latency"]["batch_size"] == 16
    shown = capfd.readouterr().out
    assert "fc1" in shown and "CPU time" in shown
    assert sorted(os.listdir(trained / "plots")) == [
        "alive.png",
        "slopes.png",
        "training_curves.png",
    ]
    plain = figures(tmp_path, f"--run={trained}")
    assert not {"flops", "latency"} & plain.keys()


def test_a_pruned_run_is_compared_with_its_dense_model(
    standard, tmp_path, capfd
):
    given = (f"--run={standard}", "--compression", "--train_accuracy")
    found = figures(tmp_path, *given)
    shown = capfd.readouterr().out
    sizes = found["compression"]
    assert sizes["dense_params"] == 38_010
    assert sizes["params"] < sizes["dense_params"]
    ratio = sizes["dense_params"] / sizes["params"]
    assert sizes["params_ratio"] == pytest.approx(ratio)
    assert sizes["file_ratio"] == pytest.approx(ratio, rel=0.05)
    assert re.search(r"\| parameters +\| +38,010 \|", shown), shown
    by_file = figures(
        tmp_path,
        f"--model={standard / 'pruned' / 'model.keras'}",
        f"--dense={standard}",
    )
    assert by_file["compression"] == sizes
    (train,) = [x for x in shown.splitlines() if x.startswith("train:")]
    assert f"{100 * found['train']['accuracy']:.2f} %" in train
    plain = figures(tmp_path, f"--run={standard}", "--split=train")
    assert found["train"]["accuracy"] == plain["accuracy"]


def test_weights_of_a_checkpoint_equal_their_model(model, tmp_path):
    with open(tmp_path / "fcnn.npz", "wb") as file:
        seed_weights.save_seed_weights(model, file)
    model.save(tmp_path / "fcnn.keras")
    given = ("--arch=fcnn", "--input_shape=8,8,1")
    found = figures(tmp_path, f"--model={tmp_path / 'fcnn.npz'}", *given)
    by_file = figures(tmp_path, f"--model={tmp_path / 'fcnn.keras'}")
    assert found["accuracy"] == by_file["accuracy"]
    assert found["loss"] == by_file["loss"]
    compared = figures(
        tmp_path,
        f"--model={tmp_path / 'fcnn.keras'}",
        *(f"--dense={tmp_path / 'fcnn.npz'}", *given),
    )
    assert compared["compression"]["params_ratio"] == 1


def test_orthogonality_and_the_authors_flops_are_shown(tmp_path, capfd):
    net = models.create(
        "resnet8_b",
        num_classes=10,
        input_shape=(8, 8, 1),
        activation="relu",
        width=0.25,
    )
    net.save(tmp_path / "net.keras")
    given = (f"--model={tmp_path / 'net.keras'}", "--flops", "--orthogonality")
    found = figures(tmp_path, *given)
    shown = capfd.readouterr().out
    assert found["orthogonality"] == orthogonality(net)
    degree = found["orthogonality"]["conv1"]
    assert re.search(rf"\| conv1 +\| +{degree:.4f} \|", shown), shown
    assert found["ptflops"] == {
        version: ptflops(net, version) for version in ("0.6.2", "0.7.5")
    }
    assert f"0.6.2: {found['ptflops']['0.6.2']:,}, 0.7.5: " in shown
    seed = figures(tmp_path, *given, "--protocol=seed")["orthogonality"]
    assert seed == orthogonality(net, protocol="seed") != degree


def saved(name, shape, classes):
    def save(_, folder):
        inputs = keras.Input(shape)
        x = keras.layers.Flatten()(inputs)
        outputs = keras.layers.Dense(classes)(x)
        keras.Model(inputs, outputs).save(folder / name)
        return [f"--model={folder / name}"]

    return save


def not_a_zip(_, folder):
    (folder / "broken.keras").write_bytes(b"PK\3\4 not a zip file")
    return [f"--model={folder / 'broken.keras'}"]


def broken_saved_model(_, folder):
    (folder / "saved_model.pb").write_bytes(np.arange(99).tobytes())
    return [f"--model={folder}"]


def empty_folder(_, folder):
    return [f"--model={folder}"]


def run_as_model(trained, _):
    return [f"--model={trained}"]


def layers_of_a_saved_model(_, folder):
    tf.saved_model.save(tf.Module(), str(folder / "saved"))
    return [f"--model={folder / 'saved'}", "--flops"]


def no_signature(_, folder):
    tf.saved_model.save(tf.Module(), str(folder / "saved"))
    return [f"--model={folder / 'saved'}"]


@pytest.mark.parametrize(
    "given, rule",
    [
        (lambda *_: [], "Give --run or --model"),
        (empty_folder, "a .keras file or a SavedModel folder.*model="),
        (
            lambda *_: ["--model=m.keras", "--which=auto"],
            "may not be given with --model.*which=auto$",
        ),
        (run_as_model, "a run folder goes with --run"),
        (lambda *_: ["--run=missing"], "run=missing$"),
        (not_a_zip, "whole and readable.*broken.keras$"),
        (broken_saved_model, "whole and readable.*saved_model="),
        (no_signature, "must have a signature"),
        (layers_of_a_saved_model, "--flops needs a Keras model"),
        (saved("m.keras", (9, 8, 1), 10), "image_shape=8 x 8 x 1$"),
        (saved("m.keras", (8, 8, 1), 11), "classes=10$"),
        (lambda t, _: [f"--run={t}", "--seed=3"], "seed=3$"),
        (lambda t, _: [f"--run={t}", "--split=best"], "best"),
        (lambda t, _: [f"--run={t}", "--batch_size=0"], "batch_size=0$"),
        (lambda t, _: [f"--run={t}", "--zeta=nan"], "zeta=nan$"),
        (lambda t, _: [f"--run={t}", "--arch=fcnn"], "is for a ch.*arch=fcnn$"),
        (lambda t, _: [f"--run={t}", "--protocol=seed"], "protocol=seed$"),
        (lambda t, _: [f"--run={t}", "--compression"], "give --dense.*model="),
        (lambda t, _: [f"--run={t}", "--dense=a.keras"], "must exist.*a.keras"),
        (lambda t, _: [f"--run={t}", "--orthogonality"], "Only convolutions"),
        (lambda *_: ["--model=a.npz"], "give --arch.*arch=None$"),
        (lambda *_: ["--model=a.npz", "--arch=fcnn"], "exists.*a.npz$"),
        (lambda t, _: [f"--run={t}", "--json=/missing/a"], "path=/missing/a$"),
    ],
)
def test_bad_input_is_one_line(trained, tmp_path, capfd, given, rule):
    arguments = given(trained, tmp_path)
    capfd.readouterr()
    assert run(*arguments) == 2
    error = capfd.readouterr().err.strip()
    assert re.fullmatch(r"error: .*", error), error
    assert re.search(rule, error), error


def test_the_command_line_answers_before_tensorflow_is_there(repository):
    code = (
        "import sys\n"
        "from rrelu_tf.commands import evaluate, export\n"
        "assert evaluate.main(['evaluate', '--help']) == 0\n"
        "assert export.main(['export', '--unknown']) == 2\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=repository, timeout=60)
