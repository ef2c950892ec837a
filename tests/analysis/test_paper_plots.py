import os

import keras
import matplotlib.image
import numpy as np
import pytest

from rrelu_tf.analysis import figure, paper_plots
from rrelu_tf.errors import UserError


def pixels(path):
    """The plot's pixels, as ints 0xrrggbb."""
    channels = np.round(255 * matplotlib.image.imread(path)[..., :3])
    return channels.astype(int) @ (0x10000, 0x100, 1)


def colours(path):
    """The plot's colours, as '#rrggbb'."""
    return {f"#{colour:06x}" for colour in np.unique(pixels(path))}


def ink(path):
    """How many pixels have the first method's colour."""
    return np.count_nonzero(pixels(path) == int(figure.AFTER[1:], 16))


def test_scales_at_most_the_threshold_have_the_colour_of_what_goes(tmp_path):
    gammas = {"bn1": np.array([0.01, 0.5, 1.0]), "bn2": np.array([-0.02])}
    path = tmp_path / "gammas.png"
    paper_plots.gamma_histogram(gammas, path, threshold=0.05)
    assert {figure.AFTER, figure.REMOVED} <= colours(path)
    paper_plots.gamma_histogram(gammas, path)
    assert figure.REMOVED not in colours(path)
    assert os.listdir(tmp_path) == ["gammas.png"]


def test_a_model_s_scales_are_those_of_its_norms(tmp_path):
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="bn")(inputs)
    x = keras.layers.BatchNormalization(scale=False)(x)
    model = keras.Model(inputs, x)
    model.get_layer("bn").gamma.assign([0.0, 0.1, 0.9, 1.0])
    by_model, by_dict = tmp_path / "model.png", tmp_path / "dict.png"
    paper_plots.gamma_histogram(model, by_model, threshold=0.1)
    gammas = {"bn": np.float32([0.0, 0.1, 0.9, 1.0])}
    paper_plots.gamma_histogram(gammas, by_dict, threshold=0.1)
    assert by_model.read_bytes() == by_dict.read_bytes()


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_equal_scales_are_drawn(tmp_path, value):
    paper_plots.gamma_histogram({"a": np.full(3, value)}, tmp_path / "a.png")
    assert figure.AFTER in colours(tmp_path / "a.png")


def test_paths_of_two_nets_share_one_plot(tmp_path):
    path = tmp_path / "paths.png"
    relu, rrelu = [128] * 18, dict.fromkeys("abcdefghijklmnopqr", 90)
    paper_plots.path_length_histogram({"ReLU": relu}, path)
    assert figure.REMOVED not in colours(path)
    paper_plots.path_length_histogram({"ReLU": relu, "RReLU": rrelu}, path)
    assert {figure.AFTER, figure.REMOVED} <= colours(path)


def test_of_many_nets_each_has_a_line(tmp_path):
    path = tmp_path / "paths.png"
    nets = {f"net {number}": [10 + number] * 9 for number in range(9)}
    paper_plots.path_length_histogram(nets, path, title="all")
    assert {figure.AFTER, figure.REMOVED} <= colours(path)
    tall = matplotlib.image.imread(path).shape[0]
    paper_plots.path_length_histogram({"one": [3]}, path)
    assert matplotlib.image.imread(path).shape[0] < tall


def test_very_deep_and_wholly_dead_nets_are_drawn(tmp_path):
    path = tmp_path / "paths.png"
    paper_plots.path_length_histogram({"deep": [2] * 1100, "dead": [0]}, path)
    assert figure.AFTER in colours(path)


def test_each_method_has_a_colour_and_seeds_have_bars(tmp_path):
    path = tmp_path / "savings.png"
    one = {"relu": [(0.0, 0.92)], "rrelu": [(0.3, 0.91)]}
    paper_plots.accuracy_against_savings(one, path)
    assert {figure.AFTER, figure.REMOVED} <= colours(path)
    plain = ink(path)
    three = {
        label: [(s + 0.1 * i, a - 0.05 * i) for i in range(3)]
        for label, [(s, a)] in one.items()
    }
    paper_plots.accuracy_against_savings(three, path)
    assert ink(path) > plain + 500


def test_points_of_a_method_are_joined(tmp_path):
    alone, joined = tmp_path / "alone.png", tmp_path / "joined.png"
    points = [[(0.1, 0.9)], [(0.8, 0.6)]]
    apart = {"rrelu": points[0], "again": points[1]}
    paper_plots.accuracy_against_savings(apart, alone)
    paper_plots.accuracy_against_savings({"rrelu": points}, joined)
    assert ink(joined) > ink(alone) + 500


@pytest.mark.parametrize(
    "draw, given, rule",
    [
        (paper_plots.gamma_histogram, {}, "batch normalisations.*gammas={}$"),
        (paper_plots.path_length_histogram, {}, "at least one net.*nets={}$"),
        (paper_plots.path_length_histogram, {"a": []}, "block_filters="),
        (paper_plots.accuracy_against_savings, {}, "at least one method"),
        (paper_plots.accuracy_against_savings, {"a": [1, 2]}, r"a=\[1, 2\]$"),
        (paper_plots.accuracy_against_savings, {"a": [[(1, 2)], []]}, "a="),
        (paper_plots.accuracy_against_savings, {"a": [("x", 2)]}, "a="),
    ],
)
def test_nothing_to_draw_is_one_line(tmp_path, draw, given, rule):
    with pytest.raises(UserError, match=rule):
        draw(given, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []
