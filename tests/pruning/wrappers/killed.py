"""Trains by a schedule, is killed, begins again: a program for a test."""

import hashlib
import json
import os
import pathlib
import random
import signal
import sys
import tempfile

import keras
import small_nets as nets

import rrelu_tf

EPOCHS = 3
# Where a process may die: inside of the backup, with half a file, with one not
# renamed, with one not yet on the disk; after and before a step; as an epoch
# ends. A step's place is come to more often than the others.
PLACES = {
    "write_bytes": EPOCHS,
    "replace": EPOCHS,
    "on_train_batch_end": EPOCHS * nets.BATCHES,
    "fsync": EPOCHS,
    "on_train_batch_begin": EPOCHS * nets.BATCHES,
    "on_epoch_end": EPOCHS,
}


class Killer(keras.callbacks.Callback):
    """Kills the process at the n-th of the places that it comes to."""

    def __init__(self, place):
        super().__init__()
        self.place, self.left = place

    def _come_to(self, place):
        if place != self.place:
            return
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def on_train_batch_begin(self, batch, logs=None):
        self._come_to("on_train_batch_begin")

    def on_train_batch_end(self, batch, logs=None):
        self._come_to("on_train_batch_end")

    def on_epoch_end(self, epoch, logs=None):
        self._come_to("on_epoch_end")

    def watch_the_backup(self):
        """Comes to places inside of it, too."""
        for home, name in (
            (pathlib.Path, "write_bytes"),
            (os, "fsync"),
            (os, "replace"),
        ):
            setattr(home, name, self._before(name, getattr(home, name)))

    def _before(self, name, function):
        def called(*arguments):
            if name == "write_bytes" and (self.place, self.left) == (name, 0):
                path, content = arguments
                function(path, content[: len(content) // 2])
            self._come_to(name)
            return function(*arguments)

        return called


def train(folder, place, soft, backup_first):
    """Trains to the end, or dies; writes what the final model is."""
    keras.utils.set_random_seed(0)
    schedule = nets.growing(0.75, EPOCHS * nets.BATCHES - 2)
    model = rrelu_tf.prune_channels(nets.dense_net(), schedule, soft=soft)
    nets.compiled(model)
    backup = rrelu_tf.Backup(folder / "backup")
    done = backup.restore(model)
    killer = [Killer(place)] if place else []
    for one in killer:
        one.watch_the_backup()
    updating = rrelu_tf.UpdatePruningStep()
    callbacks = [updating, *killer, backup]
    if backup_first:
        callbacks = [backup, *killer, updating]
    model.fit(
        *nets.data(),
        batch_size=8,
        initial_epoch=done,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )
    small = rrelu_tf.strip_pruning(model)
    digest = hashlib.sha256()
    for array in (*model.get_weights(), *small.get_weights()):
        digest.update(array.tobytes())
    (folder / "final").write_text(digest.hexdigest())


def in_a_child(*arguments):
    """Trains in a process of its own; the signal that ended it, or 0."""
    child = os.fork()  # nothing of TensorFlow has run yet here
    if child == 0:
        train(*arguments)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0, "training failed"
    return 0


def final(seed):
    """Trains with up to two deaths on the way: (deaths, final model)."""
    chance = random.Random(seed)
    kind = chance.random() < 0.5, chance.random() < 0.5
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        deaths, places = 0, list(PLACES)
        first = places[seed % len(places)]
        for place in (first, *chance.choices(places, k=seed % 2)):
            when = chance.randrange(PLACES[place])
            ended = in_a_child(folder, (place, when), *kind)
            deaths += ended == signal.SIGKILL
            if ended == 0:
                break
        else:
            assert in_a_child(folder, None, *kind) == 0
        return kind[0], deaths, (folder / "final").read_text()


def undisturbed(soft):
    """The final model without deaths."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        assert in_a_child(folder, None, soft, False) == 0
        return (folder / "final").read_text()


if __name__ == "__main__":
    times = int(sys.argv[1])
    runs = [final(seed) for seed in range(times)]
    print(
        json.dumps(
            {
                "runs": runs,
                "undisturbed": {
                    str(soft): undisturbed(soft)
                    for soft in sorted({soft for soft, *_ in runs})
                },
            }
        )
    )
