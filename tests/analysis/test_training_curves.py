import os

import matplotlib.image
import pytest

from rrelu_tf.analysis.training_curves import training_curves
from rrelu_tf.errors import UserError

HEADER = (
    "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,"
    "cpu_seconds,slopes_alive\n"
)


@pytest.mark.parametrize(
    "row, rows_of_panels",
    [
        ("1,2.3,0.1,2.2,0.2,0.1,1.0,1.0,600\n", 2),
        ("1,2.3,0.1,,,0.1,1.0,1.0,0\n", 2),
        ("1,2.3,0.1,,,,1.0,1.0,\n", 1),
    ],
    ids=["all", "no validation, no slopes", "loss and accuracy alone"],
)
def test_what_was_measured_is_drawn(tmp_path, row, rows_of_panels):
    table = tmp_path / "metrics.csv"
    table.write_text(HEADER + row)
    training_curves(table, tmp_path / "curves.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "curves.png").shape
    assert (height, width) == (480 * rows_of_panels, 1500)


@pytest.mark.parametrize(
    "text",
    [None, "", HEADER, HEADER + "1,x,,,,,,,\n", "a,b\n1,2\n", "\0\xff"],
    ids=["missing", "empty", "no epoch", "no number", "no header", "binary"],
)
def test_a_broken_table_is_one_line_and_draws_nothing(tmp_path, text):
    table = tmp_path / "metrics.csv"
    if text is not None:
        table.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="Received: table=.*metrics.csv$"):
        training_curves(table, tmp_path / "curves.png")
    assert "curves.png" not in os.listdir(tmp_path)
