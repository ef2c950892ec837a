"""bin/report: its page, its table, and what it refuses."""

import html
import json
import re
import shutil
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from rrelu_tf.commands import prune, report, train

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = (390, 844)  # CSS pixels


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of three runs: two seeds of one recipe, pruned, and one not."""
    folder = tmp_path_factory.mktemp("runs")
    flags = ["--arch=fcnn", "--epochs=1", "--learning_rate=0.02", IN_PROCESS]
    for name, given in {
        "rrelu-0": ["--seed=0"],
        "rrelu-1": ["--seed=1"],
        "relu-0": ["--activation=relu"],
    }.items():
        run = f"--run={folder / name}"
        assert train.main(["train", *flags, *given, run]) == 0
        if name.startswith("rrelu"):
            assert prune.main(["prune", run, "--zeta=0.8"]) == 0
    return folder


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    """The page over all three."""
    out = tmp_path_factory.mktemp("report") / "all.html"
    assert call(f"--runs={runs}/*", f"--out={out}") == 0
    return out


def call(*arguments):
    return report.main(["report", *map(str, arguments)])


def rows(page, title):
    """The cells of one table in the Markdown, by the first."""
    text = page.with_suffix(".md").read_text(encoding="utf-8")
    lines = text.split(f"## {title}\n")[1].split("\n## ")[0].splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if "|" in line]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[2:]}


def test_the_table_says_what_the_runs_folders_say(runs, page):
    table = rows(page, "Runs")
    assert set(table) == {"rrelu-0", "rrelu-1", "relu-0"}
    for name in ("rrelu-0", "rrelu-1"):
        trained = json.loads((runs / name / "report.json").read_text())
        pruned = json.loads((runs / name / "pruned/report.json").read_text())
        row, after = table[name], pruned["after"]
        accuracy = 100 * trained["last"]["test_accuracy"]
        assert row["test accuracy"] == f"{accuracy:.2f} %"
        assert row["zeta"] == "0.8"
        saved = 100 * (after["parameters"] / 38_010 - 1)
        assert row["parameters"] == (
            f"38,010 => {after['parameters']:,} ({saved:+.2f} %)"
        )
        assert row["FLOPs per image"].startswith(
            f"74,000 => {after['flops']:,}"
        )
        assert row["CPU time per batch"].endswith("%)")
    plain = table["relu-0"]
    assert plain["zeta"] == plain["parameters"] == "-"


def test_seeds_of_a_recipe_are_one_row(runs, page):
    found = [
        json.loads((runs / name / "pruned/report.json").read_text())
        for name in ("rrelu-0", "rrelu-1")
    ]
    saved = [
        100 * (1 - r["after"]["flops"] / r["before"]["flops"]) for r in found
    ]
    table = rows(page, "Recipes")
    assert set(table) == {"digits fcnn rrelu", "digits fcnn relu"}
    row = table["digits fcnn rrelu"]
    assert row["seeds"] == "0, 1"
    assert row["FLOPs per image saved"] == (
        f"{np.mean(saved):.2f} ± {np.std(saved, ddof=1):.2f} %"
    )


def test_figures_of_the_runs_stand_in_the_page(page):
    text = page.read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]*)', text)
    assert all(s.startswith("data:image/png;base64,iVBOR") for s in sources)
    # Curves of 3; slopes, channels and the search for zeta of 2; 2 plots.
    assert len(sources) == 3 + 2 + 2 + 2 + 2


def test_scales_and_paths_of_a_residual_net_stand_in_the_page(runs, tmp_path):
    run, out = tmp_path / "run", tmp_path / "page.html"
    flags = ["--arch=resnet8", "--activation=relu", "--epochs=1", IN_PROCESS]
    assert train.main(["train", *flags, f"--run={run}"]) == 0
    plots = {path.name for path in (run / "plots").iterdir()}
    assert plots == {"gammas.png", "training_curves.png"}
    measured = json.loads((run / "report.json").read_text())["last"]
    dense = {"layer1_0": 32, "layer2_0": 64, "layer3_0": 128}
    assert measured["block_filters"] == dense
    prunes = ["prune", f"--run={run}", "--score=bn", "--zeta=0.98"]
    assert prune.main(prunes) == 0
    assert call(run, runs / "relu-0", f"--out={out}") == 0
    text = out.read_text(encoding="utf-8")
    for title in ("BN scales", "Active path lengths"):
        assert f"<h2>{title}</h2>" in text
    manifest = json.loads((run / "pruned" / "manifest.json").read_text())
    left = manifest["block_filters"]
    assert left.keys() == dense.keys()
    assert sum(left.values()) < sum(dense.values())


def test_pruned_models_are_reported_and_other_folders_skipped(
    runs, tmp_path, capfd
):
    shutil.copytree(runs / "rrelu-0" / "pruned", tmp_path / "net_pruned")
    shutil.copytree(runs / "relu-0", tmp_path / "relu-0")
    (tmp_path / "notes").mkdir()
    (tmp_path / "net.keras").write_text("a file")
    out = tmp_path / "page.html"
    assert call(f"--runs={tmp_path}/*", f"--out={out}") == 0
    printed = capfd.readouterr().out.splitlines()
    skipped = [line for line in printed if line.startswith("skipped")]
    assert skipped == [
        f"skipped, neither a run nor a pruned model: {tmp_path / 'notes'}"
    ]
    table = rows(out, "Runs")
    assert set(table) == {r"net\_pruned", "relu-0"}
    row = table[r"net\_pruned"]
    assert row["FLOPs per image"].startswith("74,000 => ")
    assert row["seed"] == row["epochs"] == "-"
    text = out.read_text(encoding="utf-8")
    for title in ("Slopes", "Validation accuracy against zeta"):
        assert f"<h2>{title}</h2>" in text


def test_runs_are_named_with_and_without_a_flag(runs, tmp_path):
    a, b = runs / "rrelu-0", runs / "relu-0"
    ways = [(a, b), (f"--run={a}", b), (b, f"--run={a}", a)]
    for number, way in enumerate(ways):
        out = tmp_path / f"{number}.html"
        assert call("--out", out, *way) == 0
        assert set(rows(out, "Runs")) == {"rrelu-0", "relu-0"}


def test_reporting_again_replaces_both_files_and_leaves_no_other(
    runs, tmp_path
):
    out = tmp_path / "r.html"
    for run in ("rrelu-0", "relu-0"):
        assert call(runs / run, f"--out={out}") == 0
        assert list(rows(out, "Runs")) == [run]
    assert {file.name for file in tmp_path.iterdir()} == {"r.html", "r.md"}


def test_no_file_of_anything_else_is_replaced(runs, tmp_path, capfd):
    run = shutil.copytree(runs / "relu-0", tmp_path / "run")
    notes, folder = tmp_path / "notes.md", tmp_path / "folder.md"
    notes.write_text("## Recipes\n\nfor bread\n")
    folder.mkdir()
    kept = {file: file.read_bytes() for file in (notes, run / "report.md")}
    for out in (run / "report.html", run / "r.htm", "notes.html", "folder.htm"):
        out = tmp_path / out
        assert call(run, f"--out={out}") == 2
        line = capfd.readouterr().err.splitlines()[-1]
        assert line.endswith(f"Received: out={out}"), line
    assert {file: file.read_bytes() for file in kept} == kept
    assert not [*tmp_path.rglob("*.htm*")] and not (run / "r.md").exists()


@pytest.mark.parametrize(
    "given, rule",
    [
        ([], "at least one run folder. Received: run=none$"),
        (["missing"], "readable run.json. Received: run=missing$"),
        (["empty"], "readable run.json. Received: run=empty$"),
        (["relu-0", "half"], "must be finished.*Received: run=half$"),
        (["--runs=*-nothing"], r"Received: runs=\*-nothing$"),
        (["relu-0", "--runs=zzz*"], r"Received: runs=zzz\*$"),
        (["--runs=e*"], r"Received: runs=e\*$"),
        (["relu-0", "--out=page.txt"], ".html file. Received: out=page.txt$"),
        (["relu-0", "--out=no/page.html"], "Received: path=no/page.html$"),
        (["relu-0", "--unknown"], "Received: flag=unknown$"),
    ],
)
def test_bad_input_is_one_line(runs, tmp_path, monkeypatch, capfd, given, rule):
    (tmp_path / "empty").mkdir()
    for name in ("relu-0", "half"):
        shutil.copytree(runs / "relu-0", tmp_path / name)
    (tmp_path / "half" / "report.md").unlink()
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    assert call(*given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(f"error: .*{rule}", line), line
    assert not list(tmp_path.glob("*.html"))


def test_the_command_line_answers_before_tensorflow_is_there(repository):
    code = (
        "import sys\n"
        "from rrelu_tf.commands import report\n"
        "assert report.main(['report', '--help']) == 0\n"
        "assert report.main(['report']) == 2\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=repository, timeout=60)


@pytest.fixture
def browse(tmp_path):
    """Function that opens a file in a headless browser; gives its DOM."""
    found = [path for path in map(shutil.which, BROWSERS) if path]
    if not found:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--dump-dom"),
        f"--user-data-dir={tmp_path / 'profile'}",
    ]

    def browse(file, *more, size=PHONE):
        window = "--window-size={},{}".format(*size)
        command = [found[0], *flags, window, *more, file.as_uri()]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=True
        ).stdout

    return browse


def test_a_browser_shows_the_rows_and_figures(page, browse, tmp_path):
    screen = tmp_path / "screen.png"
    dom = browse(page, f"--screenshot={screen}")
    for name in ("rrelu-0", "rrelu-1", "relu-0"):
        assert f'<th scope="row">{name}</th>' in dom
    shown = matplotlib.image.imread(screen)[..., :3]
    assert shown.shape[1] == PHONE[0]
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 50
    background = (shown == shown[-1, 0]).all(axis=-1)
    assert 0.02 < 1 - background.mean() < 0.9


def test_a_phone_scrolls_tables_and_never_the_page(page, browse, tmp_path):
    text = page.read_text(encoding="utf-8")
    broken = text.replace("overflow-x: auto", "overflow-x: visible")
    beyond = []
    for name, content in (("page", text), ("broken", broken)):
        # Browsers have a least window width: a frame is as narrow as a phone.
        harness = tmp_path / f"{name}.html"
        harness.write_text(
            '<iframe id="phone" style="width:{}px; height:{}px; border:0" '
            'srcdoc="{}"></iframe><script>\n'
            'const phone = document.getElementById("phone");\n'
            "phone.onload = () => {{\n"
            "  const inside = phone.contentDocument;\n"
            "  const top = inside.documentElement;\n"
            "  document.title = [\n"
            "    top.scrollWidth - top.clientWidth,\n"
            "    [...inside.images].filter(i => i.naturalWidth > 0).length,\n"
            "  ].join();\n"
            "}};</script>".format(*PHONE, html.escape(content))
        )
        dom = browse(harness, size=(800, 900))
        excess, images = re.search(r"<title>(\d+),(\d+)</title>", dom).groups()
        assert int(images) == text.count("<img ")
        beyond.append(int(excess))
    assert beyond[0] == 0 < beyond[1]
