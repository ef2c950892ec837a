"""bin/prune: what it writes, and what it refuses."""

import json
import shutil

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf.analysis import seed_convention
from rrelu_tf.commands import prune, train
from rrelu_tf.pruning import outputs
from rrelu_tf.training.run_folder import Run

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--arch=fcnn", "--epochs=2", "--learning_rate=0.01"]
    assert train.main(["train", *flags, f"--run={folder}", IN_PROCESS]) == 0
    return folder


@pytest.fixture(scope="module")
def folder(run):
    assert prune.main(["prune", f"--run={run}", "--zeta=0.8"]) == 0
    return run / "pruned"


def refused(capfd, *arguments):
    """The one line on stderr of a command that must fail."""
    capfd.readouterr()
    assert prune.main(["prune", *map(str, arguments)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_the_small_model_is_what_masking_the_run_gives(run, folder):
    source = Run.open(run).last()
    keep = rrelu_tf.select(rrelu_tf.score(source, "slope"), threshold=0.8)
    small = keras.saving.load_model(folder / "model.keras")
    assert rrelu_tf.verify(rrelu_tf.mask(source, keep), small).samples == 8
    gone = int((~keep["rrelu1"]).sum())
    assert gone > 0
    assert small.get_layer("fc1").units == 500 - gone


def test_the_layers_are_told_before_and_after_and_why(folder):
    text = (folder / "layers.txt").read_text(encoding="utf-8")
    assert "=>" in text
    for layer in ("fc1", "rrelu1", "fc2"):
        assert layer in text


def test_the_manifest_names_the_channels_that_stayed(run, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    slope = np.abs(Run.open(run).last().get_layer("rrelu1").slope)
    assert manifest["kept"]["rrelu1"] == np.flatnonzero(slope > 0.8).tolist()
    assert manifest["kept"]["fc1"] == manifest["kept"]["rrelu1"]
    assert manifest["channels"]["fc1"] == 500
    assert manifest["zeta"] == 0.8
    assert manifest["class_names"] == [str(digit) for digit in range(10)]
    assert manifest["preprocessing"]["image_shape"] == [8, 8, 1]


def test_the_report_compares_both_models_on_test_data(run, folder):
    report = json.loads((folder / "report.json").read_text())
    small = keras.saving.load_model(folder / "model.keras")
    assert report["after"]["parameters"] == small.count_params()
    assert report["before"]["parameters"] == Run.open(run).last().count_params()
    right = [
        np.argmax(small(images), axis=-1) == labels
        for images, labels in Run.open(run).data().test
    ]
    accuracy = np.concatenate(right).mean()
    assert report["after"]["accuracy"] == pytest.approx(accuracy)
    assert report["after"]["flops"] < report["before"]["flops"]
    assert "float64" in report["notes"]["verified"]


def test_every_plot_is_drawn(folder):
    for name in ("slopes", "alive", "accuracy_against_zeta"):
        content = (folder / "plots" / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
    assert not (folder / "dense.keras").exists()


def test_auto_prints_the_curve_and_marks_its_choice(run, tmp_path, capfd):
    out = tmp_path / "auto"
    flags = [f"--run={run}", f"--out={out}", "--tolerance=20"]
    assert prune.main(["prune", *flags]) == 0
    printed = capfd.readouterr().out
    assert printed.count("<= chosen") == 1
    assert str(out) in printed
    assert (out / "model.keras").exists()


def test_pruning_again_replaces_the_folder(run, tmp_path):
    out = tmp_path / "again"
    for zeta in (0.75, 0.9):
        flags = [f"--run={run}", f"--out={out}", f"--zeta={zeta}"]
        assert prune.main(["prune", *flags]) == 0
        assert json.loads((out / "manifest.json").read_text())["zeta"] == zeta
    assert [entry.name for entry in tmp_path.iterdir()] == ["again"]


def test_nothing_is_written_when_verification_fails(run, tmp_path, monkeypatch):
    def wrong(masked, stripped):
        raise rrelu_tf.strip.NotEquivalent("planted", "fc1")

    monkeypatch.setattr("rrelu_tf.pruning.procedure.verify", wrong)
    out = tmp_path / "pruned"
    with pytest.raises(rrelu_tf.strip.NotEquivalent, match="planted"):
        prune.main(["prune", f"--run={run}", "--zeta=0.8", f"--out={out}"])
    assert not list(tmp_path.iterdir())


def test_a_folder_with_anything_else_in_it_is_left_alone(run, tmp_path, capfd):
    (tmp_path / "thesis.txt").write_text("years of work")
    for out in (tmp_path, run, run.parent):
        line = refused(capfd, f"--run={run}", "--zeta=0.8", f"--out={out}")
        assert line.endswith(f"Received: out={out}")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert (run / "run.json").exists()


def test_an_unfinished_run_is_refused(run, tmp_path, capfd):
    half = tmp_path / "half"
    shutil.copytree(run, half)
    (half / "report.json").unlink()
    line = refused(capfd, f"--run={half}", "--zeta=0.8")
    assert line.endswith(f"Received: run={half}")


def test_a_run_without_validation_data_takes_a_given_zeta(tmp_path, capfd):
    run = tmp_path / "run"
    flags = ["--arch=fcnn", "--epochs=1", "--validation_split=0"]
    assert train.main(["train", *flags, f"--run={run}", IN_PROCESS]) == 0
    assert prune.main(["prune", f"--run={run}", "--zeta=0.8"]) == 0
    printed = capfd.readouterr().out
    assert "not measured" in printed
    assert "nan" not in printed
    assert "nan" not in (run / "pruned" / "report.md").read_text()


def test_a_failure_while_writing_leaves_the_old_folder(
    run, tmp_path, monkeypatch
):
    out = tmp_path / "pruned"
    flags = ["prune", f"--run={run}", "--zeta=0.8", f"--out={out}"]
    assert prune.main(flags) == 0
    before = (out / "report.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "_plot", full)
    assert prune.main(flags) == 2
    assert (out / "report.json").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["pruned"]


@pytest.mark.parametrize(
    ("flag", "received"),
    [
        ("--zeta=-0.1", "zeta=-0.1"),
        ("--zeta=nan", "zeta=nan"),
        ("--zeta=small", "zeta=small"),
        ("--zeta=100", "zeta=100"),
        ("--zeta=1e-9", "zeta=1e-09"),
        ("--tolerance=-1", "tolerance=-1"),
        ("--tolerance=1,200", "tolerance=1,200"),
        ("--tolerance=", "tolerance="),
        ("--tolerance=1,much", "tolerance=1,much"),
        ("--tolerance=nan", "tolerance=nan"),
    ],
)
def test_bad_thresholds_are_one_line(run, tmp_path, capfd, flag, received):
    out = tmp_path / "pruned"
    line = refused(capfd, f"--run={run}", f"--out={out}", flag)
    assert line.endswith(f"Received: {received}")
    assert not out.exists()


def test_a_tolerance_for_a_threshold_that_is_given_is_refused(run, capfd):
    line = refused(capfd, f"--run={run}", "--zeta=0.8", "--tolerance=5")
    assert line.endswith("Received: tolerance=5")


def test_several_tolerances_are_a_folder_each(run, tmp_path, capfd):
    out = tmp_path / "pruned"
    flags = [f"--run={run}", f"--out={out}", "--tolerance=0,30,5"]
    assert prune.main(["prune", *flags]) == 0
    printed = capfd.readouterr().out
    left = []
    for tolerance in (30, 5, 0):
        folder = tmp_path / f"pruned-{tolerance}"
        if not folder.exists():
            assert f"tolerance {tolerance}: no channel may go" in printed
            continue
        notes = json.loads((folder / "report.json").read_text())["notes"]
        assert notes["tolerance"] == tolerance
        assert notes["tolerances"] == [0, 5, 30]
        alone = tmp_path / "alone"
        flags = [f"--run={run}", f"--out={alone}", f"--tolerance={tolerance}"]
        assert prune.main(["prune", *flags]) == 0
        for one in (folder, alone):
            manifest = json.loads((one / "manifest.json").read_text())
            left.append(manifest["alive"]["rrelu1"])
    assert left[0] == left[1] < left[2] == left[3]
    assert not out.exists()


def test_what_the_authors_scripts_count_is_noted_of_their_net(tmp_path):
    model = rrelu_tf.models.create(
        "resnet20", num_classes=10, input_shape=(8, 8, 1), activation="rrelu"
    )
    slope = model.get_layer("layer3_2_rrelu1").slope
    slope.assign(np.where(np.arange(slope.shape[0]) < 9, 0.01, slope))
    file = tmp_path / "net.keras"
    model.save(file)
    assert prune.main(["prune", f"--model={file}", "--zeta=0.1"]) == 0
    report = (tmp_path / "net_pruned" / "report.md").read_text()
    alive = [16] * 6 + [32] * 6 + [64] * 4 + [55, 64]
    found = seed_convention("resnet20", alive)
    text = "memory -{memory:.2f} %, FLOPs -{flops:.2f} %".format(**found)
    assert f"- seed_convention: {text} (as the authors" in report


def test_a_folder_that_is_no_run_is_one_line(tmp_path, capfd):
    line = refused(capfd, f"--run={tmp_path}")
    assert line.endswith(f"Received: run={tmp_path}")
    assert refused(capfd).endswith("Received: run=None, model=None")


def test_a_model_without_a_run_is_pruned_beside_itself(run, tmp_path, capfd):
    file = tmp_path / "net.keras"
    Run.open(run).last().save(file)
    flags = [f"--model={file}", "--dataset=digits", "--zeta=0.8"]
    assert prune.main(["prune", *flags]) == 0
    folder = tmp_path / "net_pruned"
    small = keras.saving.load_model(folder / "model.keras")
    assert small.get_layer("fc1").units < 500
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["alive"] == {"rrelu1": small.get_layer("fc1").units}
    line = refused(capfd, *flags, "--which=best")
    assert line.endswith("Received: which=best")
    line = refused(capfd, *flags, f"--run={run}")
    assert line.endswith(f"Received: run={run}, model={file}")


def test_slopes_inside_a_nested_model_are_pruned(tmp_path):
    inputs = keras.Input((8, 8, 1))
    hidden = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(9, name="fc"),
            rrelu_tf.layers.RReLU(name="act"),
        ],
        name="inner",
    )
    hidden.get_layer("act").slope.assign([0.01, 0.02, *[1.0] * 7])
    x = hidden(keras.layers.Flatten()(inputs))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(tmp_path / "net.keras")
    flags = [f"--model={tmp_path / 'net.keras'}", "--zeta=0.1"]
    assert prune.main(["prune", *flags]) == 0
    folder = tmp_path / "net_pruned"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["alive"] == {"inner/act": 7}
    assert (folder / "plots" / "slopes.png").stat().st_size > 5000


def test_scales_of_a_residual_net_are_pruned_drawn_and_counted(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(9)(keras.layers.Flatten()(inputs))
    branch = keras.layers.BatchNormalization(name="block_bn")(x)
    branch = keras.layers.ReLU(name="block_relu")(branch)
    branch = keras.layers.Dense(9, name="block_fc")(branch)
    x = keras.layers.Add(name="block_add")([branch, x])
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    model.get_layer("block_bn").gamma.assign([0.01, 0.02, *[1.0] * 7])
    model.save(tmp_path / "net.keras")
    flags = [f"--model={tmp_path / 'net.keras'}", "--score=bn", "--zeta=0.1"]
    assert prune.main(["prune", *flags]) == 0
    folder = tmp_path / "net_pruned"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["block_filters"] == {"block": 7}
    assert (folder / "plots" / "gammas.png").stat().st_size > 5000


def test_a_data_set_that_does_not_fit_the_model_is_refused(tmp_path, capfd):
    net = rrelu_tf.models.create(
        "fcnn", num_classes=3, input_shape=(8, 8, 1), activation="rrelu"
    )
    net.save(tmp_path / "three.keras")
    line = refused(capfd, f"--model={tmp_path / 'three.keras'}", "--zeta=0.8")
    assert "Received: " in line and not (tmp_path / "three_pruned").exists()


def test_scales_of_norms_need_norms(run, tmp_path, capfd):
    out = tmp_path / "pruned"
    line = refused(capfd, f"--run={run}", "--score=bn", f"--out={out}")
    assert "bn score" in line and not out.exists()


def test_a_place_that_cannot_be_written_is_one_line(run, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "pruned"
    line = refused(capfd, f"--run={run}", "--zeta=0.8", f"--out={out}")
    assert line.endswith(f"Received: path={out}")


def test_every_score_has_its_flag_value():
    assert list(prune.FLAGS["score"].parser.enum_values) == list(
        rrelu_tf.scoring.methods()
    )


@pytest.mark.parametrize("score", ["fisher", "sfp"])
def test_units_go_by_any_score(run, tmp_path, score):
    out = tmp_path / "pruned"
    flags = [f"--run={run}", f"--score={score}", "--tolerance=20"]
    assert prune.main(["prune", *flags, f"--out={out}"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    small = keras.saving.load_model(out / "model.keras")
    data = Run.open(run).data().unaugmented(10_000)
    scores = rrelu_tf.score(Run.open(run).last(), score, data)["fc1"]
    kept = np.flatnonzero(scores > manifest["zeta"]).tolist()
    assert manifest["score"] == score and manifest["alive"] is None
    assert manifest["kept"]["fc1"] == kept
    assert small.get_layer("fc1").units == len(kept) < 500
    assert (out / "plots" / "scores.png").exists()
