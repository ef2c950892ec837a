"""Authors' checkpoints: their names and their axes."""

import numpy as np
import pytest
from fcnn_checkpoint import good, load, save

from rrelu_tf import models
from rrelu_tf.errors import UserError
from rrelu_tf.models import seed_weights, torch_checkpoint


def check_loaded(model, tensors):
    kernel = model.get_layer("fc1").kernel.numpy()
    assert np.array_equal(kernel, tensors["fc1.weight"].numpy().T)
    slope = model.get_layer("rrelu1").slope.numpy()
    assert np.array_equal(slope, tensors["rrelu1.a"].detach().numpy())


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
@pytest.mark.parametrize(
    "nest",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "best_prec1": 92.86},
        lambda tensors: {"net": tensors, "cfg": [64, "M"], "epoch": 3},
    ],
)
def test_wrappers_and_prefixes_change_nothing(
    torch, fcnn, tmp_path, nest, prefix, old_format
):
    tensors = good(torch)
    named = {prefix + name: value for name, value in tensors.items()}
    new = not old_format
    path = save(
        torch, tmp_path, nest(named), _use_new_zipfile_serialization=new
    )
    assert load(fcnn, path) is fcnn
    check_loaded(fcnn, tensors)


def test_counts_of_batches_and_whole_selections_are_no_weights(
    torch, fcnn, tmp_path
):
    tensors = good(torch)
    extra = {
        "bn1.num_batches_tracked": torch.tensor(7),
        "layer1.0.select.indexes": torch.ones(16),
    }
    load(fcnn, save(torch, tmp_path, {**extra, **tensors}))
    check_loaded(fcnn, tensors)


def test_half_precision_becomes_single(torch, fcnn, tmp_path):
    tensors = {k: v.bfloat16().float() for k, v in good(torch).items()}
    half = {name: value.bfloat16() for name, value in tensors.items()}
    load(fcnn, save(torch, tmp_path, half))
    check_loaded(fcnn, tensors)


def test_the_last_linear_layer_tells_the_number_of_classes(torch, tmp_path):
    path = save(torch, tmp_path, good(torch))
    arrays = torch_checkpoint.read(path)
    assert torch_checkpoint.num_classes(arrays, path) == 2
    path = save(torch, tmp_path, {"conv1.weight": torch.zeros(4, 3, 3, 3)})
    with pytest.raises(UserError, match=f"Received: checkpoint={path}$"):
        torch_checkpoint.num_classes(torch_checkpoint.read(path), path)


def wide_tensors(torch, width):
    """A WRN-10 under the names of the RReLU authors' code."""
    tensors = {"conv1.weight": torch.randn(16, 3, 3, 3) / 5}

    def norm(name, channels):
        for kind in ("weight", "bias", "running_mean"):
            tensors[f"{name}.{kind}"] = torch.randn(channels)
        tensors[f"{name}.running_var"] = torch.rand(channels) + 0.5
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(9)

    before = 16
    for stage in (1, 2, 3):
        block, after = f"block{stage}.layer.0", width * 8 * 2**stage
        norm(f"{block}.bn1", before)
        tensors[f"{block}.a"] = torch.randn(before)
        norm(f"{block}.bn2", after)
        tensors[f"{block}.c"] = torch.randn(after)
        tensors[f"{block}.conv1.weight"] = torch.randn(after, before, 3, 3) / 9
        tensors[f"{block}.conv2.weight"] = torch.randn(after, after, 3, 3) / 9
        shortcut = torch.randn(after, before, 1, 1) / 3
        tensors[f"{block}.convShortcut.weight"] = shortcut
        before = after
    norm("bn1", before)
    tensors["fc.weight"] = torch.randn(5, before)
    tensors["fc.bias"] = torch.randn(5)
    return tensors


def wide_logits(torch, tensors, x):
    """What PyTorch computes of `wide_tensors`."""
    functional = torch.nn.functional

    def norm(x, name):
        kinds = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(
            x, *(tensors[f"{name}.{k}"] for k in kinds)
        )

    def rotated(x, name):
        return tensors[name][:, None, None] * torch.relu(x)

    x = functional.conv2d(x, tensors["conv1.weight"], padding=1)
    for stage in (1, 2, 3):
        block, stride = f"block{stage}.layer.0", 1 if stage == 1 else 2
        kernels = [
            tensors[f"{block}.{name}.weight"]
            for name in ("conv1", "conv2", "convShortcut")
        ]
        x = rotated(norm(x, f"{block}.bn1"), f"{block}.a")
        h = functional.conv2d(x, kernels[0], stride=stride, padding=1)
        h = rotated(norm(h, f"{block}.bn2"), f"{block}.c")
        h = functional.conv2d(h, kernels[1], padding=1)
        x = functional.conv2d(x, kernels[2], stride=stride) + h
    x = torch.relu(norm(x, "bn1")).mean((2, 3))
    return functional.linear(x, tensors["fc.weight"], tensors["fc.bias"])


def test_a_wide_resnet_of_the_authors_computes_the_same(torch, tmp_path):
    tensors = wide_tensors(torch, width=2)
    x = torch.randn(3, 3, 8, 8)
    truth = wide_logits(torch, tensors, x).numpy()
    path = save(torch, tmp_path, {"state_dict": tensors})
    model = models.create(
        "wrn_10_2", num_classes=5, input_shape=(8, 8, 3), activation="rrelu"
    )
    images = x.permute(0, 2, 3, 1).numpy()
    ours = np.asarray(load(model, path)(images, training=False))
    assert np.abs(ours - truth).max() < 1e-4 * np.abs(truth).max()


def test_orthoreg_s_names_of_shortcuts_and_head_are_known(torch, tmp_path):
    shape = {"num_classes": 3, "input_shape": (8, 8, 3)}
    source = models.create("resnet18", **shape)
    with open(tmp_path / "weights.npz", "wb") as file:
        seed_weights.save_seed_weights(source, file)
    renamed = {
        name.removeprefix("w/")
        .replace("downsample", "shortcut")
        .replace("fc.", "linear."): torch.tensor(value)
        for name, value in np.load(tmp_path / "weights.npz").items()
    }
    assert "layer2.0.shortcut.1.running_var" in renamed
    path = save(torch, tmp_path, {"net": renamed})
    loaded = load(models.create("resnet18", **shape), path)
    for a, b in zip(source.weights, loaded.weights, strict=True):
        assert np.array_equal(a, b), a.path


def test_a_slope_under_two_names_is_refused(torch, tmp_path):
    tensors = wide_tensors(torch, width=1)
    tensors["block1.0.rrelu1.a"] = tensors["block1.layer.0.a"]
    path = save(torch, tmp_path, tensors)
    model = models.create(
        "wrn_10_1", num_classes=5, input_shape=(8, 8, 3), activation="rrelu"
    )
    with pytest.raises(UserError, match="one array for block1.0.rrelu1.a"):
        load(model, path)
