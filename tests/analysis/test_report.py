import io
import json
import os

import keras
import pytest
from rich.console import Console

from rrelu_tf.analysis import report
from rrelu_tf.analysis.latency import Latency
from rrelu_tf.analysis.profile import profile
from rrelu_tf.errors import UserError


def made(units, file=None, **options):
    inputs = keras.Input((10,))
    model = keras.Model(inputs, keras.layers.Dense(units)(inputs))
    return report.measurements(profile(model), file=file, **options)


@pytest.fixture
def pair():
    latency = Latency(cpu_ms=2.0, wall_ms=1.5, batch_size=8)
    return report.before_after(
        made(1000, accuracy=0.9812, latency=latency),
        made(500, accuracy=0.9802),
        title="fcnn on digits",
        zeta=0.125,
    )


def test_rows_hold_both_figures_and_the_change(pair):
    rows = {row[0]: row[1:] for row in pair.rows()}
    assert rows["test accuracy"] == ["98.12 %", "98.02 %", "-0.10 points"]
    assert rows["conv and linear weights"] == ["10,000", "5,000", "-50.00 %"]
    assert rows["FLOPs per image"] == ["20,000", "10,000", "-50.00 %"]
    assert rows["parameters"] == ["11,000", "5,500", "-50.00 %"]


def test_what_was_not_measured_is_empty_or_left_out(pair):
    rows = {row[0]: row[1:] for row in pair.rows()}
    assert rows["CPU time per batch"] == ["2.000 ms", "", ""]
    assert "file size" not in rows


def test_the_terminal_the_markdown_and_the_json_agree(pair, tmp_path):
    terminal = io.StringIO()
    pair.print(Console(file=terminal, width=120))
    pair.write(tmp_path)
    markdown = (tmp_path / "report.md").read_text()
    for row in pair.rows():
        assert f"| {' | '.join(row)} |" in markdown
        assert any(
            all(cell in line for cell in row)
            for line in terminal.getvalue().splitlines()
        )
    assert "- zeta: 0.125" in markdown
    plain = json.loads((tmp_path / "report.json").read_text())
    assert plain["before"]["weights"] == 10_000
    assert plain["after"]["accuracy"] == 0.9802
    assert plain["notes"] == {"zeta": 0.125}
    assert sorted(os.listdir(tmp_path)) == ["report.json", "report.md"]


def test_file_size_is_that_of_the_file_or_of_all_in_the_folder(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "a").write_bytes(bytes(10))
    (tmp_path / "folder" / "inner" / "b").write_bytes(bytes(7))
    assert made(1, tmp_path / "folder").file_bytes == 17
    assert made(1, tmp_path / "folder" / "a").file_bytes == 10


def test_a_folder_that_cannot_be_written_is_one_line(pair, tmp_path):
    with pytest.raises(UserError, match="Received: path="):
        pair.write(tmp_path / "missing")
