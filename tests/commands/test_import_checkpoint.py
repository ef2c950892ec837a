import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import rrelu_tf
from rrelu_tf import models
from rrelu_tf.commands import evaluate, import_checkpoint
from rrelu_tf.models import seed_weights, torch_layout

# Keras 3.15 saves variables by a protocol that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


@pytest.fixture
def fcnn(torch, tmp_path):
    """A checkpoint of the MNIST network, on smaller images."""
    path = tmp_path / "fcnn.th"
    tensors = {
        "fc1.weight": torch.randn(500, 64) / 8,
        "fc1.bias": torch.randn(500),
        "rrelu1.a": torch.randn(500),
        "fc2.weight": torch.randn(10, 500) / 22,
        "fc2.bias": torch.randn(10),
    }
    torch.save({"state_dict": tensors}, path)
    return path


FCNN = ("--arch=fcnn", "--input_shape=8,8,1")


def run(*arguments):
    return import_checkpoint.main(["import_checkpoint", *map(str, arguments)])


def test_the_authors_resnet20_makes_the_round_trip(
    torch, shared, tmp_path, capfd
):
    npz = shared / "fixtures" / "rrelu" / "resnet20_cifar10.npz"
    arrays = dict(np.load(npz))
    tensors = {
        f"module.{name.removeprefix('w/')}": torch.tensor(value)
        for name, value in arrays.items()
        if name.startswith("w/")
    }
    tensors["module.bn1.num_batches_tracked"] = torch.tensor(7)
    checkpoint = tmp_path / "checkpoint_best.th"
    torch.save({"state_dict": tensors, "best_prec1": 92.86}, checkpoint)
    given = f"--checkpoint={checkpoint}", "--arch=resnet20"
    outs = tmp_path / "resnet20.keras", tmp_path / "resnet20.npz"
    for out in outs:
        assert run(*given, "--activation=rrelu", f"--out={out}") == 0
        assert "10 classes" in capfd.readouterr().out

    written = dict(np.load(outs[1]))
    assert written.keys() == {n for n in arrays if n.startswith("w/")}
    for name, value in written.items():
        assert np.array_equal(value, arrays[name]), name

    pixels = arrays["images_u8"][:4] / 255.0
    x = (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    found = keras.saving.load_model(outs[0])(x, training=False)
    direct = models.create("resnet20", num_classes=10, activation="rrelu")
    direct = models.load_seed_weights(direct, npz)(x, training=False)
    assert np.array_equal(found, direct)
    truth = arrays["logits/zeta_0"][:4]
    assert np.abs(found - truth).max() < 1e-4 * np.abs(truth).max()


@pytest.mark.parametrize(
    ("fixture", "arch"), [("resnet56", "resnet56_b"), ("vgg13", "vgg13")]
)
def test_orthoregs_checkpoints_are_taken(
    torch, shared, tmp_path, capfd, fixture, arch
):
    npz = shared / "fixtures" / "orthoreg" / f"{fixture}.npz"
    tensors = {
        f"module.{name}": torch.tensor(array)
        for name, array in seed_weights.read(npz).items()
    }
    checkpoint, out = tmp_path / "net.pth", tmp_path / "net.keras"
    torch.save({"net": tensors}, checkpoint)
    arrays = np.load(npz)
    pixels = arrays["images_u8"][:4].astype("float32") / 255
    truth = arrays["exp/logits"][:4]
    for source in (npz, checkpoint):
        given = f"--checkpoint={source}", f"--arch={arch}", "--activation=relu"
        assert run(*given, f"--out={out}") == 0
        assert "100 classes" in capfd.readouterr().out
        model = keras.saving.load_model(out)
        found = model((pixels - 0.5) / 0.5, training=False)
        assert np.abs(found - truth).max() < 1e-4 * np.abs(truth).max()


@pytest.mark.parametrize("fixture", ["resnet56", "vgg13"])
def test_orthoregs_pruned_checkpoints_are_taken(
    torch, shared, tmp_path, capfd, fixture
):
    """Arrays cut as the authors' code cuts them, by the fixtures' masks."""
    npz = shared / "fixtures" / "orthoreg" / f"{fixture}.npz"
    expected = np.load(npz)
    arch = {"resnet56": "resnet56_b"}.get(fixture, fixture)
    model = models.create(arch, num_classes=100)
    models.load_seed_weights(model, npz)
    sizes = expected["exp/layer_sizes"]
    bits = np.unpackbits(expected["exp/mask/l1/50"])[: sizes.sum()]
    masks = np.split(bits.astype(bool), np.cumsum(sizes)[:-1])
    keep = dict(zip(rrelu_tf.score(model, "l1"), masks, strict=True))
    pruned = rrelu_tf.pruning.seed_pruned(model, keep)
    tensors = {
        f"module.{name}": torch.tensor(weight.array())
        for name, weight in torch_layout.weights(pruned).items()
    }
    checkpoint, out = tmp_path / "net.pth", tmp_path / "net.keras"
    widths = [np.int64(3), "M"]  # theirs are NumPy's numbers
    torch.save({"net": tensors, "cfg": widths}, checkpoint)
    given = f"--checkpoint={checkpoint}", f"--arch={arch}"
    assert run(*given, "--activation=relu", f"--out={out}") == 0
    found = keras.saving.load_model(out)
    parameters = rrelu_tf.pruning.seed_parameters(found)
    assert parameters == expected["exp/pruned_params/l1/50"]
    pixels = expected["images_u8"][:8].astype("float32") / 255
    truth = expected["exp/pruned_logits/l1/50"]
    found = found((pixels - 0.5) / 0.5, training=False)
    assert np.abs(found - truth).max() < 1e-4 * np.abs(truth).max()


def test_the_other_commands_take_the_model(fcnn, tmp_path, capfd):
    out = tmp_path / "a" / "new" / "folder" / "fcnn.keras"
    assert run(*FCNN, f"--checkpoint={fcnn}", f"--out={out}") == 0
    assert evaluate.main(["evaluate", f"--model={out}"]) == 0
    assert "accuracy" in capfd.readouterr().out


def test_an_npz_is_a_checkpoint_too(tmp_path):
    net = models.create("fcnn", num_classes=7, input_shape=(4, 4, 1))
    with (tmp_path / "net.npz").open("wb") as file:
        seed_weights.save_seed_weights(net, file)
    out = tmp_path / "net.keras"
    given = ["--arch=fcnn", "--activation=relu", "--input_shape=4,4,1"]
    given += [f"--checkpoint={tmp_path / 'net.npz'}", f"--out={out}"]
    assert import_checkpoint.main(["import_checkpoint", *given]) == 0
    for old, new in zip(
        net.get_weights(),
        keras.saving.load_model(out).get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(old, new)


def test_the_npz_loads_into_a_model(fcnn, tmp_path):
    out = tmp_path / "fcnn.npz"
    given = f"--checkpoint={fcnn}", "--num_classes=10"
    assert run(*FCNN, *given, f"--out={out}") == 0
    shape = {"num_classes": 10, "input_shape": (8, 8, 1)}
    model = models.create("fcnn", activation="rrelu", **shape)
    models.load_seed_weights(model, out)
    slope = model.get_layer("rrelu1").slope.numpy()
    assert np.array_equal(slope, np.load(out)["w/rrelu1.a"])


def test_an_older_file_is_replaced_whole(fcnn, tmp_path):
    out = tmp_path / "fcnn.keras"
    out.write_text("old")
    assert run(*FCNN, f"--checkpoint={fcnn}", f"--out={out}") == 0
    assert sorted(os.listdir(tmp_path)) == ["fcnn.keras", "fcnn.th"]
    assert keras.saving.load_model(out).count_params() == 38_010


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"checkpoint": None}, "must be given. Received: checkpoint=None$"),
        ({"arch": ""}, "must be given. Received: arch=$"),
        ({"out": None}, "must be given. Received: out=None$"),
        ({"out": "model.h5"}, r"a .keras or .npz file.*out=model.h5$"),
        ({"input_shape": "8,8,x"}, "numbers.*input_shape=8,8,x$"),
        ({"input_shape": "8,8"}, r"input_shape=\(8, 8\)$"),
        ({"input_shape": "9,9,1"}, r"fc1.weight must have shape \(500, 81\)"),
        ({"arch": "fcn"}, "Did you mean fcnn.*name=fcn$"),
        ({"activation": "relu"}, "no weight for rrelu1.a. Received: check"),
        ({"activation": "tanh"}, "activation=tanh$"),
        ({"num_classes": "7"}, r"fc2.weight must have shape \(7, 500\)"),
        ({"num_classes": "0"}, "num_classes=0$"),
        ({"checkpoint": "nowhere.th"}, "file that exists.*=nowhere.th$"),
        ({"checkpoint": "model.keras"}, "a .npz, .th, .pth, .pt file.*keras$"),
        ({"out": "{folder}/fcnn.th/out.keras"}, "can be made.*out=.*fcnn.th$"),
        ({"out": "{folder}/fcnn.th/out.npz"}, "can be made.*out=.*fcnn.th$"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    fcnn, tmp_path, capfd, change, rule
):
    given = {
        "checkpoint": str(fcnn),
        "arch": "fcnn",
        "input_shape": "8,8,1",
        "out": "{folder}/out.keras",
    } | change
    flags = [
        f"--{name}={value.format(folder=tmp_path)}"
        for name, value in given.items()
        if value is not None
    ]
    before = os.listdir(tmp_path)
    assert run(*flags) == 2
    error = capfd.readouterr().err.strip()
    assert re.fullmatch(r"error: .*", error), error
    assert re.search(rule, error), error
    assert os.listdir(tmp_path) == before


class Evil:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_malicious_checkpoint_is_refused_and_not_run(torch, tmp_path, capfd):
    path, mark = tmp_path / "evil.th", tmp_path / "was_run"
    torch.save({"state_dict": Evil(mark)}, path)
    out = tmp_path / "out.keras"
    assert run(*FCNN, f"--checkpoint={path}", f"--out={out}") == 2
    error = capfd.readouterr().err.strip()
    assert re.fullmatch(r"error: .*posix\.mkdir, which was not run.*", error)
    assert os.listdir(tmp_path) == ["evil.th"]


def test_the_command_in_bin_starts_without_heavy_imports(repository):
    """Help comes before TensorFlow and PyTorch would have been imported."""
    command = repository / "bin" / "import_checkpoint"
    assert os.access(command, os.X_OK)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(command), "--help"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--checkpoint" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.split("\n")}
    assert "absl.flags" in imported
    assert not {"tensorflow", "keras", "torch"} & imported
