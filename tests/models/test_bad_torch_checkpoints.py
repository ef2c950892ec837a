"""Files that are no checkpoints, or that would run something, are refused."""

import os
import sys
import zipfile

import numpy as np
import pytest
from fcnn_checkpoint import good, load, save

from rrelu_tf.errors import UserError
from rrelu_tf.models import torch_checkpoint


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    "hide",
    [
        lambda evil, tensors: evil,
        lambda evil, tensors: {"state_dict": tensors, "args": evil},
        lambda evil, tensors: {**tensors, "fc3.bias": evil},
    ],
)
def test_nothing_in_a_checkpoint_is_run(torch, tmp_path, hide, new):
    mark = tmp_path / "was_run"
    content = hide(Evil(mark), good(torch))
    path = save(torch, tmp_path, content, _use_new_zipfile_serialization=new)
    with pytest.raises(UserError, match=r"posix\.mkdir, which was not run"):
        torch_checkpoint.read(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the trap itself does not work"


def other_suffix(torch, folder):
    path = folder / "weights.npz"
    np.savez(path, a=np.zeros(3))
    return path, "must be a .th, .pth, .pt file"


def missing(torch, folder):
    return folder / "nowhere.th", "No such file"


def a_folder(torch, folder):
    path = folder / "folder.pt"
    path.mkdir()
    return path, "Is a directory"


def empty(torch, folder):
    path = folder / "empty.th"
    path.touch()
    return path, "whole file"


def text(torch, folder):
    path = folder / "text.th"
    path.write_text("no tensors in here\n")
    return path, "whole file"


def cut_in_half(torch, folder):
    path = save(torch, folder, good(torch))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path, "whole file"


def of_torchscript(torch, folder):
    path = folder / "compiled.pt"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("constants.pkl", "data.pkl", "version"):
            file.writestr(f"model/{name}", "3")
    return path, "whole file"


def whole_module(torch, folder):
    return save(torch, folder, torch.nn.Linear(2, 2)), "Linear, which was not"


def one_tensor(torch, folder):
    return save(torch, folder, torch.zeros(3)), "must hold a state dict"


def no_tensors(torch, folder):
    return save(torch, folder, {}), "must hold a state dict"


def a_number(torch, folder):
    content = {"epoch": 3, **good(torch)}
    return save(torch, folder, content), "epoch is a int"


def names_of_numbers(torch, folder):
    return save(torch, folder, {1: torch.zeros(3)}), "by their names"


def integers(torch, folder):
    content = {**good(torch), "fc2.bias": torch.tensor([1, 2])}
    return save(torch, folder, content), "fc2.bias .* of int64"


def sparse(torch, folder):
    content = {**good(torch), "fc2.bias": torch.randn(2).to_sparse()}
    return save(torch, folder, content), "fc2.bias must be a dense tensor"


def without_numbers(torch, folder):
    content = {**good(torch), "fc2.bias": torch.empty(2, device="meta")}
    return save(torch, folder, content), "fc2.bias must be a dense tensor"


def half_selected(torch, folder):
    content = {**good(torch), "select.indexes": torch.tensor([1.0, 0.0])}
    return save(torch, folder, content), "select.indexes does not"


def one_missing(torch, folder):
    content = good(torch)
    del content["fc2.bias"]
    return save(torch, folder, content), "fc2.bias missing"


def all_wrong(torch, folder):
    content = good(torch)
    del content["fc2.bias"]
    content |= {f"fc{i}.bias": torch.zeros(2) for i in range(3, 8)}
    content["fc1.weight"] = content["fc1.weight"].T.contiguous()
    rule = (
        r"fc2\.bias missing; it has no weight for fc3\.bias, fc4\.bias, "
        r"fc5\.bias and 2 more; fc1\.weight must have shape \(500, 4\), and "
        r"has \(4, 500\)\. "
    )
    return save(torch, folder, content), rule


def twice(torch, folder):
    content = {**good(torch), "block1.layer.0.fc2.bias": torch.zeros(2)}
    return save(torch, folder, content), "no weight for block1.layer.0.fc2"


BAD = [
    *(other_suffix, missing, a_folder, empty, text, cut_in_half),
    of_torchscript,
    *(whole_module, one_tensor, no_tensors, a_number, names_of_numbers),
    *(integers, sparse, without_numbers, half_selected, one_missing),
    *(all_wrong, twice),
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_refused_and_changes_nothing(bad, torch, fcnn, tmp_path):
    path, rule = bad(torch, tmp_path)
    before = fcnn.get_weights()
    with pytest.raises(UserError, match=rule) as caught:
        load(fcnn, path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(f"Received: checkpoint={path}")
    for a, b in zip(before, fcnn.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_without_pytorch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError) as caught:
        torch_checkpoint.read(tmp_path / "checkpoint.th")
    assert str(caught.value) == (
        "Reading checkpoints needs PyTorch: pip install 'rrelu_tf[torch]'. "
        "Received: torch=None"
    )
