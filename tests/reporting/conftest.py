"""Results written down by hand, for what is made of them."""

import pathlib

import pytest

from rrelu_tf.analysis import report
from rrelu_tf.reporting.runs import Result
from rrelu_tf.training.recipe import Recipe


@pytest.fixture
def result():
    """Function that makes a run; pruned if `flops`, left of 1000, is given.

    `curve` maps tolerances to the same; None where nothing could go.
    """
    return _result


def _result(
    path="/nowhere",
    *,
    accuracy=0.9,
    flops=None,
    data="digits: 8x8x1",
    notes=(),
    convention=None,
    label=None,
    origin=None,
    block_filters=None,
    curve=None,
    **flags,
):
    recipe = Recipe(**flags).to_dict()
    return Result(
        path=pathlib.Path(path),
        label=label or f"{recipe['activation']}-{recipe['seed']}",
        recipe=recipe,
        data=data,
        epochs=recipe["epochs"],
        accuracy=accuracy,
        machine={"system": "Linux", "cpus": 2, "gpus": []},
        pruned=None if flops is None else _pruned(accuracy, flops, notes),
        convention=convention,
        origin=origin,
        block_filters=block_filters,
        curve={
            tolerance: left and _pruned(accuracy, left, notes)
            for tolerance, left in (curve or {}).items()
        },
    )


@pytest.fixture
def origin():
    """Function that makes the origin of a run that goes on from a pruned one.

    Half of the FLOPs were left; `flags` are those of the run that was pruned.
    """
    return _origin


def _origin(score="slope", **flags):
    dense = {"parameters": 2000, "weights": 1000, "flops": 1000}
    return {
        "network": "resnet20",
        "flags": Recipe(**flags).to_dict(),
        "pruning": {"score": score},
        "dense": dense,
        "costs": {"parameters": 1000, "weights": 750, "flops": 500},
    }


def _pruned(accuracy, flops, notes):
    before = {"parameters": 2000, "weights": 1000, "flops": 1000}
    after = {"parameters": 1000, "weights": 750, "flops": flops}
    return report.before_after(
        report.Measurements(accuracy=accuracy, **before),
        report.Measurements(accuracy=accuracy - 0.01, **after),
        **{"zeta": 0.1, "checkpoint": "last", **dict(notes)},
    )
