import os
import random
import resource
import signal
import time

import child
import keras
import numpy as np
import pytest

from rrelu_tf.errors import UserError
from rrelu_tf.training import checkpoints
from rrelu_tf.training.checkpoints import Checkpoint


def rows(*accuracies):
    return [
        {"epoch": number, "val_accuracy": accuracy}
        for number, accuracy in enumerate(accuracies, 1)
    ]


def make(*accuracies, size=1000):
    weights = np.full(size, len(accuracies), np.float32)
    return Checkpoint(len(accuracies), rows(*accuracies), [weights], [weights])


def write_all(folder, *accuracies):
    for epoch in range(len(accuracies) + 1):
        checkpoints.write(folder, make(*accuracies[:epoch]))


def cut(folder, epoch):
    path = checkpoints.path_of(folder, epoch)
    os.truncate(path, path.stat().st_size // 2)


def tiny_model():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_checkpoint_holds_weights_seeds_and_optimizer_bit_for_bit(tmp_path):
    x, y = np.ones((8, 4), "float32"), np.ones((8, 3), "float32")
    model = tiny_model()
    model.fit(x, y, epochs=2, verbose=0)
    checkpoints.write(tmp_path, checkpoints.capture(model, rows(0.1, 0.2)))
    model.fit(x, y, epochs=2, verbose=0)

    other = tiny_model()
    read = checkpoints.latest(tmp_path)
    checkpoints.restore(read, other, other.optimizer)
    other.fit(x, y, epochs=2, verbose=0)

    ends = [checkpoints.capture(m, rows(0.1, 0.2)) for m in (model, other)]
    for name in ("model", "optimizer"):
        pairs = zip(*(getattr(end, name) for end in ends), strict=True)
        assert all(a.tobytes() == b.tobytes() for a, b in pairs)
    assert read.history == rows(0.1, 0.2)
    # Kernel, bias and the dropout's seeds.
    assert len(read.model) == 3
    assert model.optimizer.iterations == 4


def test_history_reads_back_bit_for_bit(tmp_path):
    history = [{"epoch": 1, "val_accuracy": 0.1 + 0.2, "loss": 1 / 3}]
    checkpoints.write(tmp_path, Checkpoint(1, history, [], []))
    assert checkpoints.latest(tmp_path).history == history


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ((), 0),
        ((0.5, 0.9, 0.7), 2),
        ((0.5, 0.9, 0.9), 2),
        ((None, None), 2),
    ],
)
def test_best_is_the_first_of_the_highest(accuracies, best):
    assert make(*accuracies).best_epoch == best


def test_the_last_two_and_the_best_are_kept(tmp_path):
    write_all(tmp_path, 0.1, 0.9, 0.2, 0.3, 0.4)
    assert checkpoints.epochs(tmp_path) == [2, 4, 5]


def test_the_best_of_the_one_before_the_last_is_kept_too(tmp_path):
    write_all(tmp_path, 0.1, 0.8, 0.2, 0.3, 0.9)
    assert checkpoints.epochs(tmp_path) == [2, 4, 5]


def test_a_cut_checkpoint_falls_back_and_says_so(tmp_path, capsys):
    write_all(tmp_path, 0.1, 0.2, 0.3)
    cut(tmp_path, 3)
    assert checkpoints.latest(tmp_path).epoch == 2
    warning = capsys.readouterr().err
    assert "epoch-00003.npz" in warning
    assert warning.count("\n") == 1


@pytest.mark.parametrize("place", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_one_altered_byte_is_noticed(tmp_path, place):
    write_all(tmp_path, 0.1)
    path = checkpoints.path_of(tmp_path, 1)
    blob = bytearray(path.read_bytes())
    blob[int(place * (len(blob) - 1))] ^= 1
    path.write_bytes(blob)
    with pytest.raises(UserError, match="checksum"):
        checkpoints.read(tmp_path, 1)


def test_all_broken_is_a_user_error(tmp_path):
    write_all(tmp_path, 0.1)
    cut(tmp_path, 0)
    checkpoints.path_of(tmp_path, 1).write_bytes(b"")
    with pytest.raises(UserError, match="one checkpoint at least"):
        checkpoints.latest(tmp_path)


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoints.latest(tmp_path) is None


def test_another_architecture_is_refused():
    with pytest.raises(UserError, match="same shapes"):
        checkpoints.restore(make(0.1), tiny_model())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_anywhere_is_not_finite(bad):
    good = make(0.1)
    assert good.is_finite()
    state = good.optimizer[0].copy()
    state[3] = bad
    assert not Checkpoint(1, [], good.model, [state]).is_finite()


SAVE_FOR_EVER = """
import sys
import numpy as np
from rrelu_tf.training import checkpoints
from rrelu_tf.training.checkpoints import Checkpoint
history = []
for epoch in range(10**6):
    weights = np.full(200_000, epoch, np.float32)
    checkpoints.write(sys.argv[1], Checkpoint(epoch, history, [weights], []))
    print(epoch, flush=True)
    history.append({"epoch": epoch + 1, "val_accuracy": epoch % 7})
"""


@pytest.mark.parametrize(
    "seed",
    [
        *range(4),
        *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 60)),
    ],
)
def test_killed_at_any_moment_what_was_saved_is_whole(
    tmp_path, repository, seed
):
    process = child.piped("-c", SAVE_FOR_EVER, tmp_path)
    process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.2))
    process.send_signal(signal.SIGKILL)
    printed = process.communicate()[0].split()
    acknowledged = int(printed[-1]) if printed else 0
    last = checkpoints.latest(tmp_path)
    assert acknowledged <= last.epoch <= acknowledged + 1
    assert (last.model[0] == last.epoch).all()
    for epoch in {max(last.epoch - 1, 0), last.best_epoch}:
        assert checkpoints.read(tmp_path, epoch).epoch == epoch


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    checkpoints.write(tmp_path, make(0.1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"File too large.*Received: ") as e:
            checkpoints.write(tmp_path, make(0.1, 0.2, size=100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(e.value)
    assert os.listdir(tmp_path) == ["epoch-00001.npz"]
    assert checkpoints.latest(tmp_path).epoch == 1
