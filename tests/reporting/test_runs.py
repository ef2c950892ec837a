"""What is read from a run's folder, and which folders are refused."""

import json
import shutil

import pytest

from rrelu_tf.commands import prune, train
from rrelu_tf.errors import UserError
from rrelu_tf.reporting import runs
from rrelu_tf.training.run_folder import Run

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"
# The counts that the authors publish for ResNet-20 on CIFAR-10, zeta 0.1.
PUBLISHED = [16, 16, 16, 16, 16, 15, 32, 31, *[32] * 4, *[64] * 5, 40]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    flags = ["--arch=fcnn", "--epochs=1", "--learning_rate=0.02"]
    assert train.main(["train", *flags, f"--run={run}", IN_PROCESS]) == 0
    return run


@pytest.fixture(scope="module")
def pruned(trained, tmp_path_factory):
    run = tmp_path_factory.mktemp("pruned") / "run"
    shutil.copytree(trained, run)
    assert prune.main(["prune", f"--run={run}", "--zeta=0.8"]) == 0
    return run


def edit(file, change):
    """Changes a JSON file in place."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_run_holds_what_its_report_says(trained):
    (result,) = runs.collect([trained])
    report = json.loads((trained / "report.json").read_text())
    assert result.accuracy == report["last"]["test_accuracy"]
    assert (result.epochs, result.recipe["seed"]) == (1, 0)
    assert result.data == report["data"]
    assert (result.pruned, result.convention) == (None, None)
    assert result.saving("flops") is None


def went_on(start, run, *more):
    given = [f"--start={start}", "--epochs=1", "--learning_rate=0.02", *more]
    assert train.main(["train", *given, f"--run={run}", IN_PROCESS]) == 0
    return run


def test_a_run_from_a_pruned_model_is_known_by_its_source(pruned, tmp_path):
    run = went_on(pruned / "pruned" / "model.keras", tmp_path / "run")
    source, result = runs.collect([pruned, run])
    assert result.recipe["arch"] == "fcnn"
    for quantity in ("parameters", "weights", "flops"):
        saving = result.saving(quantity)
        assert saving == pytest.approx(source.saving(quantity))
    assert (run / "report.md").read_text().startswith("# fcnn with rrelu on")
    # Pruned again, it still is compared with the dense net.
    assert prune.main(["prune", f"--run={run}", "--zeta=1"]) == 0
    shutil.rmtree(run / "checkpoints")
    (again,) = runs.collect([run])
    assert again.before.flops == source.before.flops
    assert again.after.flops < source.after.flops
    last = went_on(run / "pruned" / "model.keras", tmp_path / "last")
    (result,) = runs.collect([last])
    assert result.saving("flops") == pytest.approx(again.saving("flops"))


def test_runs_older_than_the_notes_are_looked_up(pruned, tmp_path):
    run = went_on(pruned / "pruned" / "model.keras", tmp_path / "run")
    edit(run / "run.json", lambda info: info.pop("origin"))
    source, old = runs.collect([pruned, run])
    assert old.recipe["arch"] == "fcnn"
    assert old.before.flops == source.before.flops


def test_sources_older_than_some_flags_have_their_defaults(pruned, tmp_path):
    run = went_on(pruned / "pruned" / "model.keras", tmp_path / "run")
    (new,) = runs.collect([run])
    edit(
        run / "run.json",
        lambda info: info["origin"]["flags"].pop("two_step_epochs"),
    )
    (old,) = runs.collect([run])
    assert old.origin == new.origin
    for wrong in ({"flags": 5}, {"flags": {}}, {"dense": {"flops": "x"}}):
        edit(run / "run.json", lambda i, w=wrong: i["origin"].update(w))
        with pytest.raises(UserError, match=f"Received: run={run}$"):
            runs.collect([run])


def test_a_dense_run_that_goes_on_saves_nothing(trained, tmp_path):
    run = went_on(trained, tmp_path / "run")
    (result,) = runs.collect([run])
    assert result.recipe["arch"] == "fcnn"
    assert result.is_dense


def test_a_run_from_an_unknown_file_goes_by_its_name(trained, tmp_path):
    Run.open(trained).last().save(tmp_path / "mine.keras")
    (result,) = runs.collect(
        [went_on(tmp_path / "mine.keras", tmp_path / "run")]
    )
    assert result.recipe["arch"] == "mine"
    assert (result.is_dense, result.saving("flops")) == (False, None)


def test_a_pruned_run_holds_exact_savings(pruned):
    (result,) = runs.collect([pruned])
    report = json.loads((pruned / "pruned" / "report.json").read_text())
    before, after = report["before"], report["after"]
    assert result.pruned.notes["zeta"] == 0.8
    for quantity in ("parameters", "weights", "flops"):
        saved = 1 - after[quantity] / before[quantity]
        assert 0 < saved < 1
        assert result.saving(quantity) == pytest.approx(saved)


def test_filters_alive_are_those_of_the_net_that_is_left(pruned, tmp_path):
    run = shutil.copytree(pruned, tmp_path / "run")
    dense, left = {"layer1_0": 32}, {"layer1_0": 9}
    edit(
        run / "report.json",
        lambda report: report["last"].update(block_filters=dense),
    )
    assert runs.collect([run])[0].block_filters is None
    edit(
        run / "pruned" / "manifest.json", lambda m: m.update(block_filters=left)
    )
    assert runs.collect([run])[0].block_filters == left
    shutil.rmtree(run / "pruned")
    assert runs.collect([run])[0].block_filters == dense


def test_the_seed_convention_is_told_where_there_is_one(pruned, tmp_path):
    alive = {f"rrelu{place}": n for place, n in enumerate(PUBLISHED)}
    for arch, weights, expected in (
        ("resnet20", 268_048, (5.62, 3.09)),
        ("resnet20", 67_624, None),  # half as wide
        ("fcnn", 268_048, None),
    ):
        run = tmp_path / f"{arch}-{weights}"
        shutil.copytree(pruned, run)
        edit(
            run / "run.json", lambda info, a=arch: info["flags"].update(arch=a)
        )
        edit(
            run / "pruned" / "report.json",
            lambda report, w=weights: report["before"].update(weights=w),
        )
        manifest = run / "pruned" / "manifest.json"
        edit(manifest, lambda m: m.update(alive=alive))
        found = runs.collect([run])[0].convention
        if expected is None:
            assert found is None
        else:
            saved = (found["memory"], found["flops"])
            assert saved == pytest.approx(expected, abs=0.01)
        edit(manifest, lambda m: m.pop("alive"))
        assert runs.collect([run])[0].convention is None


def test_a_pruned_model_without_a_run_is_reported(pruned, tmp_path):
    folder = shutil.copytree(pruned / "pruned", tmp_path / "net_pruned")
    run, alone = runs.collect([pruned, folder])
    assert (run.is_run, alone.is_run) == (True, False)
    assert alone.recipe == {
        "dataset": "digits",
        "arch": "fcnn",
        "activation": "rrelu",
        "seed": None,
        "start": str(folder),
    }
    assert alone.accuracy == alone.pruned.before.accuracy
    assert alone.saving("flops") == run.saving("flops") > 0
    edit(
        folder / "manifest.json",
        lambda m: [m.pop(name) for name in ("dataset", "activations")],
    )
    (older,) = runs.collect([folder])
    assert older.recipe == alone.recipe | {"activation": "-"}


@pytest.mark.parametrize("name", ["report.json", "manifest.json"])
def test_half_a_pruned_model_is_one_line(pruned, tmp_path, name):
    folder = shutil.copytree(pruned / "pruned", tmp_path / "net_pruned")
    half(folder / name)
    with pytest.raises(UserError, match=f"be whole.*Received: run={folder}$"):
        runs.collect([folder])


@pytest.fixture
def curve(pruned, tmp_path):
    """A run as pruned at three tolerances, at the least of which none goes."""
    run = shutil.copytree(pruned, tmp_path / "curve")
    for tolerance in (0.5, 2):
        folder = run / f"pruned-{tolerance}"
        shutil.copytree(run / "pruned", folder)
        notes = {"tolerance": tolerance, "tolerances": [0.25, 0.5, 2]}
        edit(folder / "report.json", lambda r, n=notes: r["notes"].update(n))
    return run


def test_each_tolerance_is_read(pruned, curve):
    assert runs.collect([pruned])[0].curve == {}
    (result,) = runs.collect([curve])
    assert list(result.curve) == [0.25, 0.5, 2]
    assert result.curve[0.25] is None
    assert result.curve[2].notes["tolerance"] == 2
    assert result.curve[2].after == result.pruned.after


def cut_short(run):
    shutil.rmtree(run / "pruned-2")


def of_two_scores(run):
    edit(run / "pruned-2/report.json", lambda r: r["notes"].update(score="l1"))


def without_notes(run):
    edit(run / "pruned-2/report.json", lambda r: r["notes"].pop("tolerances"))


@pytest.mark.parametrize("damage", [cut_short, of_two_scores, without_notes])
def test_tolerances_that_are_not_whole_are_one_line(curve, damage):
    damage(curve)
    with pytest.raises(UserError, match=f"tolerances.*Received: run={curve}$"):
        runs.collect([curve])


def test_a_run_given_twice_is_read_once(trained, pruned, monkeypatch):
    monkeypatch.chdir(trained.parent)
    found = runs.collect(["run", trained, pruned, f"{pruned}/../run"])
    assert [result.pruned is None for result in found] == [True, False]


def test_labels_tell_runs_apart(trained, pruned):
    found = runs.collect([trained, pruned])
    labels = [result.label for result in found]
    assert labels == [f"{run.parent.name}/run" for run in (trained, pruned)]
    assert runs.collect([trained])[0].label == "run"


def damaged(name, change):
    def damage(run):
        change(run / name)

    return damage


def half(file):
    file.write_text(file.read_text()[:99])


def flags(**values):
    """Damage of a run.json: a flag has another value."""
    return lambda file: edit(file, lambda info: info["flags"].update(values))


def not_a_number(report):
    report["last"]["test_accuracy"] = float("nan")


def not_finite(report):
    report["after"]["flops"] = float("inf")


def below_0(manifest):
    manifest["block_filters"] = {"block": -1}


def test_a_run_older_than_some_flags_has_their_defaults(pruned, tmp_path):
    run = shutil.copytree(pruned, tmp_path / "old")
    younger = ("arch_options", "start", "two_step_epochs", "gamma_l1")
    edit(
        run / "run.json",
        lambda info: [info["flags"].pop(name) for name in younger],
    )
    (old,), (new,) = runs.collect([run]), runs.collect([pruned])
    assert old.recipe == new.recipe


@pytest.mark.parametrize(
    "damage, rule",
    [
        (shutil.rmtree, "must hold a readable run.json"),
        (lambda run: [shutil.rmtree(run), run.mkdir()], "readable run.json"),
        (damaged("run.json", half), "readable run.json"),
        (damaged("report.json", lambda file: file.unlink()), "be finished"),
        (damaged("report.json", half), "whole run.json and report.json"),
        (
            damaged("report.json", lambda f: edit(f, lambda r: r.pop("last"))),
            "whole run.json and report.json",
        ),
        (
            damaged("run.json", lambda f: edit(f, lambda r: r.pop("data"))),
            "whole run.json and report.json",
        ),
        (damaged("run.json", flags(arch=5)), "readable run.json"),
        (damaged("run.json", flags(epochs=1.5)), "readable run.json"),
        (damaged("run.json", flags(seed=True)), "readable run.json"),
        (damaged("run.json", flags(start=None)), "readable run.json"),
        (damaged("run.json", flags(epochs=0)), "readable run.json"),
        (
            damaged(
                "run.json", lambda f: edit(f, lambda r: r.update(flags={}))
            ),
            "readable run.json",
        ),
        (
            damaged(
                "run.json", lambda f: edit(f, lambda r: r.update(flags=[]))
            ),
            "readable run.json",
        ),
        (
            damaged(
                "run.json", lambda f: edit(f, lambda r: r.update(origin=5))
            ),
            "readable run.json",
        ),
        (
            damaged("report.json", lambda f: edit(f, not_a_number)),
            "whole run.json and report.json",
        ),
        (
            damaged("pruned/report.json", lambda f: edit(f, not_finite)),
            "in pruned/",
        ),
        (damaged("pruned/report.json", half), "in pruned/"),
        (damaged("pruned/manifest.json", lambda f: f.unlink()), "in pruned/"),
        (damaged("pruned/manifest.json", half), "in pruned/"),
        (
            damaged("pruned/manifest.json", lambda f: edit(f, below_0)),
            "in pruned/",
        ),
        (
            damaged("pruned/report.json", lambda f: edit(f, dict.clear)),
            "in pruned/",
        ),
    ],
)
def test_a_folder_that_is_no_whole_run_is_one_line(
    pruned, tmp_path, damage, rule
):
    run = tmp_path / "damaged"
    shutil.copytree(pruned, run)
    damage(run)
    with pytest.raises(UserError) as raised:
        runs.collect([pruned, run])
    assert rule in str(raised.value)
    assert str(raised.value).endswith(f"Received: run={run}")


def test_no_runs_are_one_line():
    with pytest.raises(UserError, match=r"at least one run.*runs=none$"):
        runs.collect([])
