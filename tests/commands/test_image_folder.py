"""`--dataset=FOLDER`: image files, from training to evaluation."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

from rrelu_tf.commands import evaluate, prune, train

# TensorFlow cannot take its determinism back: other tests would run under it.
IN_PROCESS = "--nodeterministic"
NET = ("--arch=resnet8_b", "--arch_options=width=0.25", "--activation=relu")


def write(root, sizes=((12, 12),), train=8, test=2):
    """Noise in two brightnesses, one a class."""
    generator = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for name, mean in (("dark", 60), ("light", 190)):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                shape = (*sizes[number % len(sizes)], 3)
                pixels = generator.integers(mean - 60, mean + 60, shape)
                image = tf.io.encode_png(pixels.astype("uint8"))
                file = root / part / name / f"{number}.png"
                file.write_bytes(image.numpy())
    return root


def test_files_are_trained_on_pruned_and_evaluated(tmp_path):
    folder, run = write(tmp_path / "files"), tmp_path / "run"
    how = (*NET, "--epochs=2", "--batch_size=4", "--weight_decay=0")
    given = (f"--dataset={folder}", f"--run={run}", "--orthoreg=0.01")
    assert not train.main(["train", *given, *how, IN_PROCESS])
    of_run = f"--run={run}"
    assert not prune.main(["prune", of_run, "--score=l1", "--zeta=1.5"])
    figures = f"--json={tmp_path / 'figures.json'}"
    asked = ("--train_accuracy", "--orthogonality", "--compression")
    assert not evaluate.main(["evaluate", of_run, figures, *asked])
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["examples"] == 4
    assert found["compression"]["params_ratio"] > 1
    info = json.loads((run / "run.json").read_text())
    assert info["class_names"] == ["dark", "light"]


def sizes(root):
    write(root, sizes=((12, 12), (14, 12)))
    return [], "differ in size and need an image_size.*image_size=None$"


def class_without_images(root):
    write(root)
    for file in (root / "train" / "dark").iterdir():
        file.unlink()
    return [], "one holds none.*train/dark$"


def class_without_a_training_image(root):
    write(root, train=1)
    split = "--validation_split=0.5"
    return [split], "every class a training example.*validation_split=0.5$"


def more_classes_than_the_folder_has(root):
    write(root)
    from rrelu_tf import models

    net = models.create(
        "resnet8_b", num_classes=3, input_shape=(12, 12, 3), width=0.25
    )
    net.save(root / "net.keras")
    return [f"--start={root / 'net.keras'}"], "classes=2$"


@pytest.mark.parametrize(
    "damage",
    [
        sizes,
        class_without_images,
        class_without_a_training_image,
        more_classes_than_the_folder_has,
    ],
)
def test_bad_folders_are_one_line(tmp_path, capfd, damage):
    flags, rule = damage(tmp_path / "files")
    net = () if any("--start" in flag for flag in flags) else NET
    given = (f"--dataset={tmp_path / 'files'}", f"--run={tmp_path / 'run'}")
    capfd.readouterr()
    assert train.main(["train", *given, *net, *flags, IN_PROCESS]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(f"^error: .*{rule}", line), line
    assert not (tmp_path / "run").exists()
