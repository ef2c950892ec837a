import os

import keras
import matplotlib.image
import numpy as np
import pytest

from rrelu_tf.analysis import figure, plots
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RReLU

SLOPES = {"a": np.array([-1.0, 0.05, 0.5]), "b": np.array([0.0, 1.2])}


def colours(path):
    """The plot's colours, as '#rrggbb'."""
    pixels = np.round(255 * matplotlib.image.imread(path)[..., :3])
    unique = np.unique(pixels.reshape(-1, 3).astype(int), axis=0)
    return {"#{:02x}{:02x}{:02x}".format(*colour) for colour in unique}


def test_slopes_at_most_zeta_have_the_colour_of_what_is_removed(tmp_path):
    path = tmp_path / "slopes.png"
    plots.slope_histogram(SLOPES, path, zeta=0.1)
    assert {figure.AFTER, figure.REMOVED} <= colours(path)
    plots.slope_histogram(SLOPES, path)
    assert figure.REMOVED not in colours(path)
    assert os.listdir(tmp_path) == ["slopes.png"]


def test_a_model_is_plotted_by_its_rotated_layers(tmp_path):
    inputs = keras.Input((4,))
    rotated = keras.Model(inputs, RReLU()(inputs))
    plots.slope_histogram(rotated, tmp_path / "slopes.png", zeta=0.1)
    plain = keras.Model(inputs, keras.layers.ReLU()(inputs))
    with pytest.raises(UserError, match="rotated activations"):
        plots.slope_histogram(plain, tmp_path / "none.png")
    assert os.listdir(tmp_path) == ["slopes.png"]


def test_slopes_in_nested_models_are_drawn(tmp_path):
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), RReLU(name="act")], name="in")
    model = keras.Model(inputs, RReLU(name="act")(inner(inputs)))
    values = [np.linspace(-1, 1, 4), np.linspace(0.5, 2, 4)]
    inner.get_layer("act").slope.assign(values[0])
    model.get_layer("act").slope.assign(values[1])
    by_model, by_dict = tmp_path / "model.png", tmp_path / "dict.png"
    plots.slope_histogram(model, by_model, zeta=0.1)
    slopes = {"in/act": values[0], "act": values[1]}
    slopes = {key: np.float32(slope) for key, slope in slopes.items()}
    plots.slope_histogram(slopes, by_dict, zeta=0.1)
    assert by_model.read_bytes() == by_dict.read_bytes()


def test_equal_slopes_are_drawn(tmp_path):
    for value in (0.0, 1.0, -1.0):
        plots.slope_histogram({"a": np.full(3, value)}, tmp_path / "a.png", 0.1)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_dead_channels_show_the_colour_of_before(tmp_path):
    total = {f"layer{i}": 16 for i in range(50)}
    path = tmp_path / "depth.png"
    plots.alive_along_depth(total, total, path)
    assert figure.AFTER in colours(path)
    whole = matplotlib.image.imread(path).shape
    plots.alive_along_depth(dict.fromkeys(total, 0), total, path)
    assert figure.BEFORE in colours(path)
    plots.alive_along_depth({"layer0": 3}, total, path)
    assert matplotlib.image.imread(path).shape[1] < whole[1]


def test_the_chosen_zeta_is_marked(tmp_path):
    points = [(0.1, 0.95), (0.0, 0.96), (0.2, 0.4)]
    path = tmp_path / "zeta.png"
    plots.accuracy_against_zeta(points, None, path)
    assert figure.REMOVED not in colours(path)
    unmarked = path.read_bytes()
    plots.accuracy_against_zeta(points, 0.1, path, alive=[0.8, 1, 0.1])
    assert figure.REMOVED in colours(path)
    assert path.read_bytes() != unmarked


def test_nothing_to_draw_is_one_line(tmp_path):
    with pytest.raises(UserError, match="at least one layer"):
        plots.alive_along_depth({}, {}, tmp_path / "a.png")
    with pytest.raises(UserError, match="at least one point"):
        plots.accuracy_against_zeta([], None, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


def test_a_plot_never_half_replaces_an_older_one(tmp_path):
    path = tmp_path / "zeta.png"
    path.write_bytes(b"old")
    with pytest.raises(ValueError):
        plots.accuracy_against_zeta([(0, "x")], None, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["zeta.png"]


def test_accuracies_that_were_not_measured_leave_the_rest(tmp_path):
    points = [(0.0, np.nan), (0.1, np.nan)]
    path = tmp_path / "zeta.png"
    plots.accuracy_against_zeta(points, 0.1, path, alive=[1.0, 0.5])
    assert figure.REMOVED in colours(path)
