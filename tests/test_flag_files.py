"""Each flag file says what it is, and describes a run that can begin."""

import itertools
import json
import pathlib

import pytest

from rrelu_tf.commands import train, train_flags
from rrelu_tf.rounds import retraining
from rrelu_tf.training import building

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "flags").rglob("*.flags"))
# Of the OrthoReg authors: these prune, too.
PRUNING = [x for x in FILES if "early_bird" in x.stem or "iterative" in x.stem]
RRELU = [x for x in FILES if x not in PRUNING]
SIDES = {"imagenet": 224, "digits": 8, "mnist": 28}


def parsed(path, *more):
    values = train.FLAGS
    values.unparse_flags()
    for name in values:
        values[name].unparse()
    values(["train", f"--flagfile={path}", *more])
    return values


def recipe(path):
    return train._recipe(parsed(path))


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_a_flag_file_describes_a_run_that_can_begin(path):
    found = recipe(path)
    building.check(found)
    assert found.activation in path.stem or found.gamma_l1
    assert found.network.removeprefix(f"{found.dataset}-").split("-")[0] in (
        path.stem
    )
    assert bool(found.slope_l1) == ("l1" in path.stem or "digits" in str(path))
    assert bool(found.two_step_epochs) == ("two_step" in path.stem)


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_a_flag_file_opens_with_what_it_is(path):
    text = path.read_text()
    assert text.startswith("# ")
    for heading in ("# Recipe: ", "# Cost: ", "# Expected: "):
        assert heading in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    "path", PRUNING, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_a_flag_file_of_pruning_describes_rounds_that_can_begin(path):
    found = recipe(path)
    plan = train_flags.plan(train.FLAGS, found)
    parts = path.stem.split("_")
    assert plan.protocol == "seed" and plan.score in parts
    assert bool(found.orthoreg) == ("orthoreg" in parts)
    if "bird" in parts:
        assert (found.early_bird, found.early_bird_epochs) == ("fixed", 25)
        asked = found.early_bird_score, found.early_bird_sparsity
        assert asked == (plan.score, plan.sparsity)
        assert parts[-1] == f"{100 * plan.sparsity:g}" and plan.count == 1
    else:
        assert parts[-1] == found.optimizer and plan.count == 5
    # facts/orthoreg.md, 3: the best epoch is pruned, then the last goes on.
    assert (plan.which, plan.goes_on) == ("best", "last")
    last = ((40, 40, 20), None)
    wanted = [last] * 5
    if "bird" in parts:
        wanted = [((60, 40, 40), None)]
    elif plan.score == "orthoreg":
        wanted = [((35, 35, 10), (24, 1))] * 4 + [last]
    assert lengths(found, plan) == wanted
    for number in range(1, plan.count + 1):
        for made in (retraining.plain, retraining.ortho):
            training = made(found, plan, number, "small.keras")
            if training is not None:
                building.create_schedule(training, 10)
                assert training.early_bird == "none"
                assert bool(training.orthoreg) == (not training.weight_decay)


OTHERS = ("bn", "l1", "sfp", "tfo", "rdt", "grasp")


@pytest.mark.parametrize("score", OTHERS)
def test_the_files_of_fisher_are_those_of_the_other_scores(score):
    files = [path for path in PRUNING if "iterative_fisher" in path.stem]
    assert len(files) == 14  # 4 nets, ResNet-56 on CIFAR-100 alone, 2 rules
    for path in files:
        assert "# Likewise: bn, l1, sfp, tfo, rdt and grasp" in path.read_text()
        found = recipe(path)
        flags = f"--score={score}", "--run=other", "--pretrained=first"
        plan = train_flags.plan(parsed(path, *flags), found)
        assert (plan.score, plan.protocol) == (score, "seed")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_every_net_of_the_authors_has_iterative_files(optimizer):
    for net in ("vgg13", "mobilenet_v1", "resnet34", "resnet56_b"):
        for score in ("fisher", "orthoreg"):
            name = f"{net}_relu_iterative_{score}_{optimizer}.flags"
            assert (ROOT / "flags" / "cifar100" / name).is_file()


def lengths(found, plan):
    """Of both trainings of each round, the epochs at each rate."""
    return [
        tuple(
            made(found, plan, number, "small.keras")
            and stretches(made(found, plan, number, "small.keras"))
            for made in (retraining.plain, retraining.ortho)
        )
        for number in range(1, plan.count + 1)
    ]


def stretches(training):
    ends = (0, *training.milestones, training.epochs)
    return tuple(b - a for a, b in itertools.pairwise(ends))


# The table in the OrthoReg authors' README, in per cent of test accuracy, at
# 25, 50 and 75 % (facts/orthoreg.md, 9).
TABLE = {
    "orthoreg": {
        "resnet34": (77.4, 76.7, 74.8),
        "vgg13": (71.4, 71.2, 67.5),
        "mobilenet_v1": (67.8, 67.4, 65.8),
    },
    "fisher": {
        "resnet34": (72.7, 72.3, 71.3),
        "vgg13": (65.4, 67.1, 65.3),
        "mobilenet_v1": (67.9, 67.6, 65.9),
    },
    "bn": {
        "resnet34": (72.9, 72.1, 70.1),
        "vgg13": (65.5, 65.6, 64.8),
        "mobilenet_v1": (67.7, 68.3, 65.5),
    },
}


def test_every_cell_of_the_early_bird_table_has_a_file_that_expects_it():
    for score, nets in TABLE.items():
        for net, cells in nets.items():
            for percent, accuracy in zip((25, 50, 75), cells, strict=True):
                name = f"{net}_relu_early_bird_{score}_{percent}.flags"
                path = ROOT / "flags" / "cifar100" / name
                assert expected(path).startswith(f"{accuracy} % of test")


def expected(path):
    """What a file expects, on one line."""
    text = path.read_text().split("# Expected: ")[1].split("\n--")[0]
    return text.replace("\n#  ", "")


def test_what_the_authors_publish_is_expected(shared):
    file = shared / "fixtures" / "rrelu" / "alive_lists.json"
    for record in json.loads(file.read_text()):
        if record["dataset"] == "unknown":
            places = [*ROOT.glob("flags/cifar*/resnet164_preact_rrelu.flags")]
            assert len(places) == 2
        else:
            step = "_two_step" if record["zeta"] == 0.03 else ""
            name = f"{record['arch']}_rrelu{step}.flags"
            places = [ROOT / "flags" / record["dataset"] / name]
        # Around the slopes ResNet-50's list has its stem and its classes.
        pasted = record["arch"] == "resnet50"
        alive = record["alive"][1:-1] if pasted else record["alive"]
        total = record["slopes_total"]
        saved = record["seed_convention_saving_percent"]
        for path in places:
            found = expected(path)
            assert f"{total - sum(alive)}" in found and f"of {total}" in found
            assert all(f"{value:.2f}" in found for value in saved.values())
            assert record["zeta"] is None or f"zeta {record['zeta']}" in found


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_nets_without_slopes_expect_no_zeta(path):
    if recipe(path).activation in ("relu", "gelu", "silu"):
        assert "zeta" not in expected(path)


# What the abstract states, in per cent, and of which rows (facts/rrelu.md, 4a).
STATED = {
    "resnet164_preact_slimming": ("32.33", "26.38"),
    "resnet164_preact_rrelu": ("35.92", "25.97"),
    "resnet164_preact_rrelu_l1": ("64.67", "52.96"),
    "vit_small_rgelu": ("2.6 %", "6.32"),
    "vit_tiny_rgelu": ("2.6 %", "6.32"),
}


@pytest.mark.parametrize(
    "path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_what_the_abstract_states_is_expected_of_its_own_rows_alone(path):
    found = expected(path)
    for name, figures in STATED.items():
        for figure in figures:
            own = figure in STATED.get(path.stem, ())
            assert (figure in found) == own, (name, figure)


def test_the_abstract_s_figures_are_those_of_the_facts(shared):
    facts = shared / "facts" / "rrelu.md"
    if not facts.is_file():
        pytest.skip("the facts are not there")
    text = facts.read_text()
    assert all(f in text for figures in STATED.values() for f in figures)


@pytest.mark.parametrize(
    "path", RRELU, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_a_plain_net_expects_nothing_but_network_slimming(path):
    found = recipe(path)
    if found.activation in ("relu", "gelu", "silu") and not found.gamma_l1:
        found = expected(path).strip()
        assert found.rstrip(".;").split(";")[0] == "not stated by the authors"


@pytest.mark.parametrize(
    "path", RRELU, ids=lambda p: f"{p.parent.name}-{p.stem}"
)
def test_how_it_is_to_be_pruned_is_told_where_it_is_not_plain(path):
    text, found = path.read_text(), recipe(path)
    if not found.validation_split:
        assert "bin/prune needs a number for --zeta" in text
    if found.activation == "relu" and found.arch != "fcnn":
        assert "bin/prune --score=bn" in text


def test_network_slimming_is_normalised_as_the_authors_have_it():
    slimming = [recipe(path) for path in FILES if recipe(path).gamma_l1]
    assert slimming
    assert {found.normalization for found in slimming} == {"cifar10"}


@pytest.mark.parametrize(
    "path",
    [x for x in FILES if x.match("*_rrelu.flags") and not x.match("digits/*")],
    ids=lambda p: f"{p.parent.name}-{p.stem}",
)
def test_every_rotated_relu_has_its_baseline_l1_and_two_steps(path):
    plain = path.with_stem(path.stem.replace("_rrelu", "_relu"))
    others = [path.with_stem(f"{path.stem}_{x}") for x in ("l1", "two_step")]
    assert {plain, *others} <= {*FILES}


def test_flag_files_run_in_folders_of_their_own():
    folders = {}
    for path in FILES:
        found = recipe(path)
        folder = train.FLAGS.run or train._default_run(found, None)
        folder = str(folder)
        folders.setdefault(folder, []).append(f"{path.parent.name}/{path.stem}")
    assert not {k: v for k, v in folders.items() if len(v) > 1}
