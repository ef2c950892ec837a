import os

import numpy as np
import pytest

from rrelu_tf.analysis import score_plot
from rrelu_tf.errors import UserError

SCORES = {"a": np.array([0.0, 1e-9, 1e-4]), "b": np.array([2.0])}


def test_scores_of_any_size_are_drawn(tmp_path):
    path = tmp_path / "scores.png"
    for scores, threshold in (
        (SCORES, 1e-6),
        (SCORES, None),
        ({"a": np.full(3, 0.5)}, 0.5),
        ({"a": np.array([1e-30, 1.0])}, 0.0),
    ):
        score_plot.score_histogram(scores, path, threshold, method="fisher")
        assert path.read_bytes().startswith(b"\x89PNG")
    assert os.listdir(tmp_path) == ["scores.png"]


@pytest.mark.parametrize("scores", [{}, {"a": np.zeros(3)}])
def test_nothing_above_0_is_no_plot(tmp_path, scores):
    with pytest.raises(UserError, match="Received: scores=. of 0$"):
        score_plot.score_histogram(scores, tmp_path / "scores.png")
    assert not os.listdir(tmp_path)
