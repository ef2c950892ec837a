import csv

from rrelu_tf.training import metrics_table


def test_floats_read_back_bit_for_bit_and_missing_ones_are_empty(tmp_path):
    row = dict.fromkeys(metrics_table.COLUMNS, 1 / 3)
    rows = [row | {"epoch": 1}, row | {"epoch": 2, "val_loss": None}]
    path = tmp_path / "metrics.csv"
    metrics_table.write(path, rows)
    with open(path, newline="") as file:
        read = list(csv.DictReader(file))
    assert [line["epoch"] for line in read] == ["1", "2"]
    assert all(float(line["loss"]) == 1 / 3 for line in read)
    assert read[1]["val_loss"] == ""


def test_rewriting_drops_rows_past_the_history(tmp_path):
    row = dict.fromkeys(metrics_table.COLUMNS, 0)
    path = tmp_path / "metrics.csv"
    metrics_table.write(path, [row, row])
    metrics_table.write(path, [row])
    assert len(path.read_text().splitlines()) == 2
