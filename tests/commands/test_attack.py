import json
import re
import subprocess
import sys

import keras
import pytest

from rrelu_tf.commands import attack, prune, train

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"
QUICK = ("--steps=2", "--queries=5", "--samples=60", "--batch_size=50")

# Keras 3.15 saves variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    flags = ("--arch=fcnn", "--epochs=1", "--normalization=standard")
    flags += ("--learning_rate=0.02", f"--run={run}")
    assert not train.main(["train", *flags, IN_PROCESS])
    assert not prune.main(["prune", f"--run={run}", "--zeta=0.8"])
    return run


def run(*arguments):
    return attack.main(["attack", *map(str, arguments)])


def figures(tmp_path, *arguments):
    assert run(*arguments, f"--json={tmp_path / 'figures.json'}") == 0
    return json.loads((tmp_path / "figures.json").read_text())


def test_a_run_is_attacked_from_end_to_end(trained, tmp_path, capfd):
    found = figures(tmp_path, f"--run={trained}", "--which=best", *QUICK)
    assert list(found["figures"]) == [
        "clean",
        "fgsm",
        "pgd",
        "margin",
        "square",
        "zero_gradient",
        "llc",
    ]
    assert found["protocol"] == "correct"
    assert found["epsilon"] == pytest.approx(8 / 255)
    assert found["examples"] == 60
    assert found["figures"]["fgsm"] < found["figures"]["clean"]
    assert found["figures"]["llc"] > 0
    shown = capfd.readouterr().out
    assert "PGD, 2 steps, 5 starts" in shown
    assert f"{100 * found['figures']['fgsm']:.2f} %" in shown
    assert "epsilon 0.03137 of pixels" in shown


def test_a_pruned_file_is_attacked_by_its_manifest(trained, tmp_path):
    model = trained / "pruned" / "model.keras"
    options = ("--attacks=fgsm,llc", "--epsilon=4/255", *QUICK)
    found = figures(tmp_path, f"--model={model}", *options)
    by_run = figures(tmp_path, f"--run={trained}", *options)
    assert found["figures"] == by_run["figures"]
    assert found["epsilon"] == pytest.approx(4 / 255)


def test_the_authors_protocol_is_labelled(trained, tmp_path, capfd):
    options = ("--protocol=seed", "--which=last", "--samples=60")
    found = figures(tmp_path, f"--run={trained}", *options)
    names = ["clean", "fgsm", "pgd", "llc", "llc_mean"]
    assert list(found["figures"]) == names
    assert found["figures"]["llc_mean"] == found["figures"]["llc"]  # 1 batch
    assert found["epsilon"] == 0.031
    shown = capfd.readouterr().out
    assert "protocol seed: 60 test images, epsilon 0.031 of norm" in shown
    assert "wrong divisor" in shown


def test_the_figures_are_a_function_of_the_seed(trained, tmp_path):
    options = (f"--run={trained}", "--attacks=llc", *QUICK)
    first = figures(tmp_path, *options, "--attack_seed=1")
    assert figures(tmp_path, *options, "--attack_seed=1") == first
    other = figures(tmp_path, *options, "--attack_seed=2")
    assert other["figures"] != first["figures"]


def bare(tmp_path):
    """A file whose normalisation nothing tells, and which gives no gradient."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(10, kernel_initializer="zeros")(x)
    keras.Model(inputs, x).save(tmp_path / "bare.keras")
    return f"--model={tmp_path / 'bare.keras'}"


def test_gradient_masking_is_a_warning(tmp_path, capfd):
    known = ("--dataset=digits", "--normalization=unit")
    options = ("--attacks=zero_gradient,pgd", *QUICK)
    found = figures(tmp_path, bare(tmp_path), *known, *options)
    assert found["figures"]["zero_gradient"] == 1
    out, err = capfd.readouterr()
    assert "gradient masking:" not in out
    assert re.search("^warning: gradient masking: 100.00 % of", err, re.M)


@pytest.mark.parametrize("given", [[], ["--normalization=auto"]])
def test_a_model_of_unknown_range_is_refused(tmp_path, capfd, given):
    model = bare(tmp_path)
    capfd.readouterr()
    assert run(model, "--dataset=digits", *given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search("give --run, .*manifest.*model=.*bare.keras$", line), line


@pytest.mark.parametrize(
    "given, rule",
    [
        (["--epsilon=0"], "greater than 0 .*epsilon=0$"),
        (["--epsilon=-1/255"], "epsilon=-1/255$"),
        (["--epsilon=8"], "8/255, not 8. .*epsilon=8$"),
        (["--epsilon=nan"], "epsilon=nan$"),
        (["--epsilon=1/0"], "epsilon=1/0$"),
        (["--attacks=fgsm,pdg"], "some of fgsm, pgd.*attacks=fgsm,pdg$"),
        (["--attacks="], "attacks=$"),
        (["--samples=0"], "samples=0$"),
        (["--steps=0"], "steps=0$"),
        (["--restarts=0"], "restarts=0$"),
        (["--queries=-1"], "queries=-1$"),
        (["--batch_size=0"], "batch_size=0$"),
        (["--attack_seed=-1"], "attack_seed=-1$"),
        (["--protocol=best"], "one of correct, seed.*protocol=best$"),
        (["--protocol=seed", "--steps=9"], "leave --steps out.*steps=9$"),
        (["--protocol=seed", "--attacks=square"], "attacks=square$"),
        (["--json=/missing/a"], "json=/missing/a$"),
        (["--json="], "path of a file.*json=$"),
        (["--seed=3"], "seed=3$"),
    ],
)
def test_bad_input_is_one_line(trained, capfd, given, rule):
    capfd.readouterr()
    assert run(f"--run={trained}", *given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.match("error: ", line), line
    assert re.search(rule, line), line


def test_the_command_line_answers_before_tensorflow_is_there(repository):
    code = (
        "import sys\n"
        "from rrelu_tf.commands import attack\n"
        "assert attack.main(['attack', '--help']) == 0\n"
        "assert attack.main(['attack', '--samples=0']) == 2\n"
        "assert not {'tensorflow', 'keras', 'rich'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=repository, timeout=60)
