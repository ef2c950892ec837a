"""TF_CONFIG: what it says, and what is wrong with it."""

import json
import socket

import loopback
import pytest

from rrelu_tf.commands import train
from rrelu_tf.errors import UserError
from rrelu_tf.training import cluster

WORKERS = {"worker": ["a:1", "b:2"]}
SECOND = {"type": "worker", "index": 1}


def text(jobs=WORKERS, task=SECOND):
    return json.dumps({"cluster": jobs, "task": task})


@pytest.mark.parametrize(
    ("config", "addresses", "index"),
    [
        (text(), ("a:1", "b:2"), 1),
        (text(task={"type": "worker", "index": "1"}), ("a:1", "b:2"), 1),
        (text({"worker": ["b:2", "c:3"], "chief": ["a:1"]}),)
        + (("a:1", "b:2", "c:3"), 2),
        (
            text({"chief": ["a:1"]}, {"type": "chief", "index": 0}),
            *(("a:1",), 0),
        ),
    ],
)
def test_the_chief_comes_first(monkeypatch, config, addresses, index):
    monkeypatch.setenv("TF_CONFIG", config)
    found = cluster.of_environment()
    assert (found.addresses, found.index) == (addresses, index)
    assert found.address == addresses[index]
    assert found.is_chief == (index == 0)


@pytest.mark.parametrize(
    ("config", "rule", "received"),
    [
        ("", "must be set", "TF_CONFIG="),
        ("{cluster", "must be JSON", "TF_CONFIG={cluster"),
        ("[]", "must have a cluster", r"TF_CONFIG=\[\]"),
        ('{"task": {}}', "must have a cluster", 'TF_CONFIG={"task": {}}'),
        (json.dumps({"cluster": WORKERS}), "must have a task", "TF_CONFIG=.*"),
        (text({}), "must have a cluster of workers", "TF_CONFIG=.*"),
        (text(task=[]), "must have a task with type and", "TF_CONFIG=.*"),
        (text(task={"index": 0}), "must have a task with type", "TF_CONFIG=.*"),
        (text(task=SECOND | {"index": 2}), "from 0 to 1", "index=2"),
        (text(task=SECOND | {"index": -1}), "from 0 to 1", "index=-1"),
        (text(task=SECOND | {"index": 0.5}), "a whole number", "index=0.5"),
        (text(task=SECOND | {"type": "ps"}), "one of the clus", "type=ps"),
        (text(WORKERS | {"ps": ["c:3"]}), "of workers and at most", "clu.*=ps"),
        (text(task=SECOND | {"type": ["worker"]}), "one of", r"type=\['w.*'\]"),
        (
            text({"worker": []}),
            "must have a cluster of workers",
            "TF_CONFIG=.*",
        ),
        (text({"chief": ["a:1"], "worker": []}), "'s, chief", "type=worker"),
        ("{\n 1:\n}\n", "must be JSON", "TF_CONFIG={ 1: }"),
        (text({"chief": ["a:1", "b:2"]}), "at most one chief", "chief=a:1,b:2"),
        (text({"worker": "a:1"}), "must be a list", "worker=a:1"),
        (text({"worker": ["a:1", "b"]}), '"host:port"', "address=b"),
        (text({"worker": ["a:1", "b:0"]}), "from 1 to 65535", "address=b:0"),
        (text({"worker": ["a:1", "a:1"]}), "of its own", "address=a:1"),
        ("x" * 500, "must be JSON", r"TF_CONFIG=x{200}\.\.\."),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, config, rule, received):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UserError, match=rule) as caught:
        cluster.of_environment()
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=rf"\. Received: {received}$"):
        cluster.of_environment()


def run(tmp_path, *flags):
    """Exit code of bin/train on several workers, and its folder."""
    folder = tmp_path / "run"
    flags = [f"--run={folder}", "--strategy=multiworker", *flags]
    return train.main(["train", "--arch=fcnn", *flags]), folder


def test_the_command_refuses_it_before_anything_else(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TF_CONFIG", "cluster")
    code, folder = run(tmp_path, "--dataset=there_is_none")
    assert code == 2 and not folder.exists()
    assert "TF_CONFIG must be JSON" in capsys.readouterr().err


def test_a_port_in_use_is_refused_at_once(tmp_path, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        jobs = {"worker": [address, "127.0.0.1:1"]}
        task = {"type": "worker", "index": 0}
        monkeypatch.setenv("TF_CONFIG", text(jobs, task))
        code, folder = run(tmp_path)
    assert code == 2 and not folder.exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.endswith(f"already in use. Received: address={address}\n")


@pytest.mark.parametrize("index", [0, 1])
def test_a_peer_that_never_comes_is_named(tmp_path, monkeypatch, capsys, index):
    addresses = loopback.addresses(2)
    config = loopback.config(addresses, index)
    monkeypatch.setenv("TF_CONFIG", config)
    code, folder = run(tmp_path, "--peer_timeout=0.3")
    assert code == 2 and not folder.exists()
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and addresses[1 - index] in error
    assert error.endswith("Received: peer_timeout=0.3\n")


@pytest.mark.parametrize(
    ("flags", "received"),
    [
        (["--peer_timeout=-1"], "peer_timeout=-1.0"),
        (["--peer_timeout=inf"], "peer_timeout=inf"),
        (["--prune", "--sparsity=0.5"], "prune=True"),
        (["--virtual_devices=2"], "virtual_devices=2"),
        (["--download"], "download=True"),
    ],
)
def test_flags_that_do_not_go_together(
    tmp_path, monkeypatch, capsys, flags, received
):
    monkeypatch.setenv("TF_CONFIG", text())
    code, _ = run(tmp_path, *flags)
    assert code == 2
    assert capsys.readouterr().err.endswith(f"Received: {received}\n")
