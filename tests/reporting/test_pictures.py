"""The figures that a report shows."""

import csv

import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.reporting import pictures
from rrelu_tf.reporting.groups import group

SIGNATURE = b"\x89PNG\r\n"


def png(content):
    """Bytes that begin and end as a PNG file does."""
    return SIGNATURE + b"\x1a\n" + content.encode() + b"IEND\xaeB`\x82"


def write_metrics(folder):
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["epoch", "loss", "accuracy"])
        table.writerow([1, 0.5, 0.8])


def test_plots_of_pruning_go_before_those_of_training(result, tmp_path):
    for name in ("plots", "pruned/plots"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "slopes.png").write_bytes(png(name))
    (tmp_path / "plots" / "training_curves.png").write_bytes(png("curves"))
    found = pictures.of_runs([result(tmp_path)])
    assert {kind: [p.png for p in made] for kind, made in found.items()} == {
        "Training curves": [png("curves")],
        "Slopes": [png("pruned/plots")],
    }


def test_scales_of_norms_are_shown_pruned_or_not(result, tmp_path):
    for name in ("plots", "pruned/plots"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "gammas.png").write_bytes(png(name))
        write_metrics(tmp_path)
        (picture,) = pictures.of_runs([result(tmp_path)])["BN scales"]
        assert picture.png == png(name)


def test_path_lengths_of_all_runs_share_one_plot(result, monkeypatch):
    drawn = []

    def draw(nets, path, *, title):
        drawn.append((title, nets))
        path.write_bytes(b"")

    draws = "rrelu_tf.analysis.paper_plots.path_length_histogram"
    monkeypatch.setattr(draws, draw)
    runs = [
        result(block_filters={"a": 3, "b": 4}),
        result(seed=1, block_filters={"a": 2}),
        result(dataset="mnist", data="mnist: 28x28x1", block_filters={"a": 1}),
        result(arch="fcnn", seed=2),
    ]
    made = pictures.of_paths(runs)
    assert [title for title, _ in drawn] == [p.caption for p in made]
    assert [nets for _, nets in drawn] == [
        {"rrelu-0": {"a": 3, "b": 4}, "rrelu-1": {"a": 2}},
        {"rrelu-0": {"a": 1}},
    ]
    assert pictures.of_paths(runs[3:]) == []


@pytest.mark.parametrize("content", [b"", b"GIF89a", png("")[:-1]])
def test_a_damaged_plot_is_one_line(result, tmp_path, content):
    write_metrics(tmp_path)
    file = tmp_path / "plots" / "slopes.png"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"whole PNG.*Received: plot={file}$"):
        pictures.of_runs([result(tmp_path)])


def test_curves_that_a_run_did_not_draw_are_drawn(result, tmp_path):
    write_metrics(tmp_path)
    found = pictures.of_runs([result(tmp_path)])
    (picture,) = found.pop("Training curves")
    assert picture.png.startswith(SIGNATURE)
    assert picture.caption == "rrelu-0"
    assert not found
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_each_data_set_has_its_own_accuracies(result):
    runs = [
        result(flops=500),
        result(flops=500, seed=1),
        result(activation="relu"),
        result(flops=500, dataset="mnist", data="mnist: 28x28x1"),
        result(dataset="cifar10", data="cifar10: JPEG"),
    ]
    made = pictures.of_groups(group(runs))
    assert [picture.caption for picture in made] == [
        "digits: accuracy against weights saved",
        "digits: accuracy against FLOPs saved",
        "mnist: accuracy against weights saved",
        "mnist: accuracy against FLOPs saved",
    ]
    assert all(picture.png.startswith(SIGNATURE) for picture in made)


def test_runs_from_a_pruned_model_stand_at_its_saving(
    result, origin, monkeypatch
):
    drawn = []

    def draw(methods, path, **_):
        drawn.append(methods)
        path.write_bytes(b"")

    draws = "rrelu_tf.analysis.paper_plots.accuracy_against_savings"
    monkeypatch.setattr(draws, draw)
    unknown = {"network": "net", "costs": origin()["costs"]}
    runs = [
        result(accuracy=0.9),
        result(start="a.keras", accuracy=0.8, origin=origin()),
        result(start="b.keras", accuracy=0.7, origin=unknown),
        result(start="a.keras", flops=250, origin=origin(), accuracy=0.6),
    ]
    pictures.of_groups(group(runs))
    flops = list(drawn[1].values())
    assert flops == [[(0.0, 0.9)], [(0.5, 0.8)], [(0.75, 0.59)]]
    drawn.clear()
    pictures.of_groups(group([runs[0], runs[2]]))
    assert not drawn


def test_without_a_pruned_run_there_is_nothing_to_compare(result):
    assert pictures.of_groups(group([result(), result(seed=1)])) == []


def test_recipes_on_one_plot_are_named_by_what_differs(result):
    runs = [
        result(flops=500),
        result(flops=500, slope_l1=1e-4),
        result(flops=500, slope_l1=1e-4, seed=1),
        result(slope_l1=1e-4),
        result(flops=500, arch="fcnn"),
    ]
    assert pictures.labels(group(runs)) == [
        "resnet20 rrelu",
        "resnet20 rrelu, slope_l1=0.0001",
        "resnet20 rrelu, slope_l1=0.0001, not pruned",
        "fcnn rrelu",
    ]


def test_runs_pruned_at_several_tolerances_make_a_curve(result, monkeypatch):
    drawn = []

    def draw(methods, path, **_):
        drawn.append(methods)
        path.write_bytes(b"")

    draws = "rrelu_tf.analysis.paper_plots.accuracy_against_savings"
    monkeypatch.setattr(draws, draw)
    runs = [
        result(accuracy=0.8, curve={1.0: None, 2.0: 500}, flops=600),
        result(seed=1, accuracy=0.9, curve={1.0: 750, 2.0: 250}, flops=600),
        result(activation="relu", accuracy=0.7),
    ]
    pictures.of_groups(group(runs))
    curve, dense = drawn[1].values()
    trained, first, second = curve
    assert trained == [(0.0, 0.8), (0.0, 0.9)]
    assert first == [(0.0, 0.8), (0.25, 0.89)]
    assert second == [(0.5, 0.79), (0.75, 0.89)]
    assert dense == [(0.0, 0.7)]
