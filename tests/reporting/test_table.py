"""Rows of runs and recipes, and their Markdown."""

import dataclasses

from rrelu_tf.reporting import table
from rrelu_tf.reporting.groups import group


def cells(made):
    """List of dicts, heading -> cell."""
    return [dict(zip(made.columns, row, strict=True)) for row in made.rows]


def test_a_pruned_run_is_told_before_and_after(result):
    savings = {"memory": 5.618, "flops": 3.09}
    run = result(accuracy=0.93, flops=250, seed=7, convention=savings)
    (row,) = cells(table.of_runs([run]))
    assert row == {
        "run": "rrelu-7",
        "data set": "digits",
        "architecture": "resnet20",
        "activation": "rrelu",
        "seed": "7",
        "epochs": "12",
        "test accuracy": "93.00 %",
        "zeta": "0.1",
        "pruned: test accuracy": "92.00 % (-1.00)",
        "parameters": "2,000 => 1,000 (-50.00 %)",
        "conv and linear weights": "1,000 => 750 (-25.00 %)",
        "FLOPs per image": "1,000 => 250 (-75.00 %)",
        "CPU time per batch": "-",
        "memory saved (seed convention)": "5.62 %",
        "FLOPs saved (seed convention)": "3.09 %",
    }


def test_a_run_without_pruning_has_dashes(result):
    (row,) = cells(table.of_runs([result()]))
    known = ["run", "data set", "architecture", "activation", "seed", "epochs"]
    known.append("test accuracy")
    assert {name for name in row if row[name] != "-"} == set(known)
    (row,) = table.of_recipes(group([result()])).rows
    assert (
        row == ("digits resnet20 rrelu", "-", "0", "12", "90.00 %") + ("-",) * 8
    )


def test_seeds_are_mean_and_spread(result):
    runs = [
        result(seed=1, accuracy=0.90, flops=500),
        result(seed=0, accuracy=0.94, flops=300),
        result(activation="relu", weight_decay=1e-4, accuracy=0.91),
    ]
    pruned, plain = cells(table.of_recipes(group(runs)))
    assert pruned["recipe"] == "digits resnet20 rrelu"
    assert pruned["flags"] == "weight_decay=0.0005"
    assert pruned["seeds"] == "0, 1"
    assert pruned["test accuracy"] == "92.00 ± 2.83 %"
    assert pruned["FLOPs per image saved"] == "60.00 ± 14.14 %"
    assert plain["flags"] == "weight_decay=0.0001"
    assert plain["test accuracy"] == "91.00 %"


def test_a_seed_that_could_not_be_pruned_is_counted_and_said(result):
    runs = [
        result(seed=0, accuracy=0.93, flops=400),
        result(seed=1, accuracy=0.90),
    ]
    (row,) = cells(table.of_recipes(group(runs)))
    assert row["seeds"] == "0, 1 (1 of 2 could not be pruned)"
    assert row["zeta"] == "0.1"
    assert row["pruned: test accuracy"] == "91.00 ± 1.41 %"
    assert row["FLOPs per image saved"] == "30.00 ± 42.43 %"


def test_a_run_from_a_pruned_model_saves_what_that_one_did(result, origin):
    run = result(start="a.keras", origin=origin())
    (row,) = cells(table.of_runs([run]))
    assert row["FLOPs per image"] == "1,000 => 500 (-50.00 %)"
    assert row["pruned: test accuracy"] == row["zeta"] == "-"
    again = result(start="a.keras", origin=origin(), flops=250)
    (row,) = cells(table.of_runs([again]))
    assert row["FLOPs per image"] == "1,000 => 250 (-75.00 %)"


def test_no_cell_breaks_out_of_the_markdown(result):
    evil = "a|b\n<script>alert(1)</script> `x` [y](z) *w*"
    text = table.markdown([table.of_runs([result(label=evil)])])
    lines = text.splitlines()
    (row,) = [line for line in lines if "alert" in line]
    assert "<script>" not in text
    assert "a\\|b &lt;script&gt;" in row
    (header,) = [line for line in lines if line.startswith("| run")]
    assert row.replace("\\|", "").count("|") == header.count("|")
    for mark in ("[", "`", "*"):
        assert mark not in row.replace(f"\\{mark}", "")


def test_savings_at_each_tolerance_lie_side_by_side(result):
    curves = ({0.5: None, 2.0: 500}, {0.5: 900, 2.0: 700})
    runs = [
        result(seed=seed, activation=activation, curve=curve)
        for activation in ("relu", "rrelu")
        for seed, curve in enumerate(curves)
    ]
    runs.append(result(dataset="mnist", data="mnist: 28x28x1"))
    found = cells(table.of_tolerances(group(runs)))
    order = [(row["recipe"].split()[-1], row["tolerance"]) for row in found]
    assert order == [
        *(("relu", "0.5"), ("rrelu", "0.5")),
        *(("relu", "2"), ("rrelu", "2")),
    ]
    first, last = found[0], found[-1]
    assert first["pruned"] == "1 of 2" and last["pruned"] == "2 of 2"
    assert first["FLOPs per image saved"] == "5.00 ± 7.07 %"
    assert first["test accuracy"] == "89.50 ± 0.71 %"
    assert first["points lost"] == "0.50 ± 0.71"
    assert last["FLOPs per image saved"] == "40.00 ± 14.14 %"
    assert table.of_tolerances(group([result(flops=500)])) is None


def test_a_pruned_model_without_a_run_has_dashes(result):
    run = result(flops=500)
    recipe = {name: run.recipe[name] for name in table.SHOWN}
    recipe |= {"seed": None, "start": "runs/net_pruned"}
    alone = dataclasses.replace(run, recipe=recipe, epochs=None, machine={})
    (row,) = cells(table.of_runs([alone]))
    assert row["seed"] == row["epochs"] == "-"
    assert row["FLOPs per image"] == "1,000 => 500 (-50.00 %)"
    first, second = cells(table.of_recipes(group([alone, run])))
    assert (first["seeds"], first["epochs"]) == ("-", "-")
    assert first["flags"] == "start=runs/net_pruned"
    assert second["flags"] == "start=scratch"
