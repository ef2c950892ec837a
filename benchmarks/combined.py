"""Slopes together with other scores, and with OrthoReg: one table.

    python benchmarks/combined.py --dataset=fashion_mnist --data_dir=DATA

The net and recipe of `benchmarks/orthoreg.py`. Half of the parameters go, in
one step by one score, or in two: first slopes, until three quarters are left,
then another score. `--retrain_epochs` follow, without OrthoReg and L1. Decay on
every weight of the nets with slopes, 1e-3, and L1 of 5e-4 on the slopes draw
them to 0; with OrthoReg there is the L1 alone. Writes
`benchmarks/results/combined_<dataset>.csv`; a command that was stopped goes on.
"""

import orthoreg
from absl import app
from table_of_seeds import Table

import rrelu_tf

_SLOPES = {"activation": "rrelu", "slope_l1": 5e-4}
orthoreg.TRAINED.update(
    {
        "rrelu": {"weight_decay": 1e-3, **_SLOPES},
        "rrelu-orthoreg": {"weight_decay": 0.0, "orthoreg": 1e-2, **_SLOPES},
    }
)
# The net, and score and share of the source's parameters that is left by turns.
ROWS = (
    ("plain", [("fisher", 0.5)]),
    ("plain", [("l1", 0.5)]),
    ("orthoreg", [("fisher", 0.5)]),
    ("rrelu", [("slope", 0.5)]),
    ("rrelu", [("fisher", 0.5)]),
    ("rrelu", [("slope", 0.75), ("fisher", 0.5)]),
    ("rrelu", [("slope", 0.75), ("l1", 0.5)]),
    ("rrelu-orthoreg", [("slope", 0.5)]),
    ("rrelu-orthoreg", [("fisher", 0.5)]),
    ("rrelu-orthoreg", [("slope", 0.75), ("fisher", 0.5)]),
)


def pruned(study, net, steps):
    """A row: the net after each of some scores, and after retraining."""
    small = study.trained(net)
    dense = rrelu_tf.profile(small)
    for method, left in steps:
        found = rrelu_tf.score(small, method, study.examples)
        budget = left * dense.params
        keep = rrelu_tf.select(found, params=budget, model=small)
        masked = rrelu_tf.mask(small, keep)
        small = rrelu_tf.strip(masked)
        rrelu_tf.verify(masked, small)
    at_once = study.accuracy(small)
    small = study.retrain(small)
    after = rrelu_tf.profile(small)
    return {
        "net": net,
        "pruned_by": name(steps),
        "seed": study.seed,
        "params_percent": round(100 * after.params / dense.params, 1),
        "macs_percent": round(100 * after.macs / dense.macs, 1),
        "at_once": at_once,
        "last_epoch": study.accuracy(small),
    }


def name(steps):
    """The scores, in the order in which they prune."""
    return " then ".join(method for method, _ in steps)


def main(argv):
    """Adds the rows that the table lacks."""
    del argv
    table = Table(f"combined_{orthoreg.DATASET.value}.csv")
    for seed in range(orthoreg.SEEDS.value):
        study = orthoreg.Study(seed)
        for net, steps in ROWS:
            if not table.has(net=net, pruned_by=name(steps), seed=seed):
                table.add([pruned(study, net, steps)])
    table.show("net", "pruned_by")


if __name__ == "__main__":
    app.run(main)
