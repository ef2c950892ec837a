"""Trains and prunes a net by every method and seed, and reports them together.

    python benchmarks/study.py --net=mnist --epochs=30 --data_dir=DATA
    python benchmarks/study.py --net=fashion --epochs=20 --data_dir=DATA
    python benchmarks/study.py --net=cifar10 --epochs=12 --data_dir=DATA

Plain ReLU, the same pruned by its BN scales, network slimming, RReLU, RReLU
with L1, two-step training, all on one recipe; zeta is chosen on validation data
(at most 0.1 points lost). Runs lie in `runs/study-<net>/<method>-seed<n>`; a
stopped study goes on. Ends with `bin/report`: the page, and the Markdown table
with mean and spread over the seeds.
"""

import pathlib
import shlex
import subprocess
import sys

from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parent.parent

_FCNN = "--flagfile=flags/mnist/fcnn_rrelu.flags"
_SMALL = (
    "--arch=resnet20 --batch_size=128 --learning_rate=0.1 --momentum=0.9 "
    "--schedule=cosine_epoch"
)
_MNIST = {
    "relu": ("--activation=relu", None),
    "rrelu": ("", "slope"),
    "rrelu-l1": ("--slope_l1=1e-4", "slope"),
    "rrelu-decay": ("--weight_decay=1e-4", "slope"),
    "two-step": ("--two_step_epochs={half}", "slope"),
}
_NORMED = {
    "relu": ("--activation=relu --weight_decay=5e-4", "bn"),
    "slimming": (
        "--activation=relu --weight_decay=5e-4 --gamma_l1=1e-4",
        "bn",
    ),
    "rrelu": ("--weight_decay=5e-4", "slope"),
    "rrelu-l1": ("--weight_decay=5e-4 --slope_l1=1e-4", "slope"),
    "two-step": ("--weight_decay=5e-4 --two_step_epochs={half}", "slope"),
}
# net -> (flags of all its runs, method -> (more flags, score to prune by)).
NETS = {
    "mnist": (_FCNN, _MNIST),
    "fashion": (f"{_SMALL} --dataset=fashion_mnist", _NORMED),
    "cifar10": (f"{_SMALL} --dataset=cifar10", _NORMED),
}

NET = flags.DEFINE_enum("net", "mnist", sorted(NETS), "Data set and net.")
EPOCHS = flags.DEFINE_integer("epochs", 30, "Of each run.", lower_bound=2)
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs a method.", lower_bound=1)
DATA_DIR = flags.DEFINE_string("data_dir", None, "TFDS folder.")
FOLDER = flags.DEFINE_string("folder", None, "Default: runs/study-<net>.")


def main(argv):
    """Runs what has not run yet, and reports."""
    del argv
    folder = pathlib.Path(FOLDER.value or f"runs/study-{NET.value}").resolve()
    shared, methods = NETS[NET.value]
    for seed in range(SEEDS.value):
        for method, (options, score) in methods.items():
            run = folder / f"{method}-seed{seed}"
            _train(run, f"{shared} {options}", seed)
            if score is not None and not (run / "pruned").exists():
                _prune(run, score)
    page = folder / "report.html"
    _command("report", f"--runs={folder}/*-seed*", f"--out={page}")
    print(page.with_suffix(".md").read_text())


def _train(run, options, seed):
    options = options.format(half=EPOCHS.value // 2)
    where = [f"--data_dir={DATA_DIR.value}"] if DATA_DIR.value else []
    _command(
        "train",
        *shlex.split(options),
        *where,
        f"--epochs={EPOCHS.value}",
        f"--seed={seed}",
        f"--run={run}",
    )


def _prune(run, score):
    """Prunes a run; one that can lose nothing stays as it is."""
    done = subprocess.run(
        [sys.executable, "bin/prune", f"--run={run}", f"--score={score}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout or done.stderr)
    if done.returncode and "none may go" not in done.stderr:
        sys.exit(done.returncode)


def _command(name, *options):
    done = subprocess.run(
        [sys.executable, f"bin/{name}", *options], cwd=ROOT, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    app.run(main)
