"""What benchmarks say that they do."""

import json
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parents[1] / "benchmarks"
# A process of its own: a benchmark defines flags as it is imported.
PLAINLY = """
import keras
import orthoreg
import rrelu_tf
from absl import flags
from rrelu_tf.training import penalties
from rrelu_tf.training.recipe import Recipe

flags.FLAGS(["orthoreg", "--retrain_epochs=3"])
study = object.__new__(orthoreg.Study)
study.recipe = Recipe(arch="resnet8_b", dataset="fashion_mnist")
study.fit = lambda model, recipe, first: (model, recipe.epochs)
image = keras.Input((4, 4, 1))
x = rrelu_tf.layers.RReLU()(keras.layers.Conv2D(3, 3)(image))
net = rrelu_tf.orthogonalize(keras.Model(image, x), 0.5)
penalties.give(net, slope_l1=0.25)
model, epochs = study.retrain(net)
print(len(net.losses), len(model.losses), epochs)
"""


def test_retraining_is_without_the_penalties_of_the_training_before():
    done = subprocess.run(
        [sys.executable, "-c", PLAINLY],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["2", "0", "3"]


def test_the_readme_shows_the_speeds_that_were_measured():
    done = subprocess.run(
        [sys.executable, "table_of_speed.py"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    readme = (FOLDER.parent / "README.md").read_text()
    tables = done.stdout.strip().split("\n\n")
    assert len(tables) == 5
    for table in tables:
        assert f"\n{table}\n" in readme


SIDE = """
import sys
import rounds

name, path = sys.argv[1:]

def play():
    with open(path, "a") as file:
        file.write(name)
    if name == "c":
        raise SystemExit("no more of c")

print("what a side prints is no answer")
rounds.serve(play, lambda: {"name": name})
"""
TURNS = """
import json
import sys
import rounds

side, path = sys.argv[1:]
commands = {n: [sys.executable, "-c", side, n, path] for n in "abc"}
print(json.dumps(rounds.by_turns(commands, 3)))
"""


def test_sides_take_turns_until_they_fail(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TURNS, SIDE, tmp_path / "played"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "played").read_text() == "abc" + "ba" + "ab"
    assert json.loads(done.stdout) == {
        "a": {"name": "a"},
        "b": {"name": "b"},
        "c": {"error": "exit code 1: no more of c"},
    }
