"""Checkpoints: all of a run's state in one file per epoch, whole or absent.

A file is a NumPy archive (`numpy.load` opens it) with the SHA-256 of all that
precedes as its last 32 bytes. It holds the model's variables (weights, moving
statistics, seed generators), the optimizer's (momenta, iterations, loss scale)
and the run's history, one row per epoch, from which the best epoch follows and
`metrics.csv` is rewritten. So there is one source of truth, and no moment at
which two files could disagree.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
import re
import sys

import numpy as np

from rrelu_tf import atomic
from rrelu_tf.errors import UserError

_NAME = re.compile(r"epoch-(\d+)\.npz")
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state after `epoch` epochs (0: before training).

    Attributes:
        epoch: int, epochs completed.
        history: list of dicts, one per completed epoch, as in `metrics.csv`.
        model: list of arrays, in the order of `model.variables`.
        optimizer: list of arrays, in the order of `optimizer.variables`.
    """

    epoch: int
    history: list
    model: list
    optimizer: list

    @property
    def best_epoch(self):
        """See `best_epoch`."""
        return best_epoch(self.history)

    def is_finite(self):
        """Whether no weight and no optimizer state is NaN or infinite."""
        arrays = self.model + self.optimizer
        return all(np.isfinite(array).all() for array in arrays)


def best_epoch(history):
    """The first epoch of the highest validation accuracy; 0 before any.

    Without validation data nothing tells the epochs apart: the last is best.
    In two-step training only the epochs of the last row's step count.
    """
    if not history:
        return 0
    if history[-1].get("val_accuracy") is None:
        return history[-1]["epoch"]
    step = history[-1].get("step")
    rows = [row for row in history if row.get("step") == step]
    return max(rows, key=lambda row: row["val_accuracy"])["epoch"]


def capture(model, history):
    """The checkpoint of a compiled model whose optimizer is built."""
    return Checkpoint(
        epoch=len(history),
        history=list(history),
        model=[np.asarray(v) for v in model.variables],
        optimizer=[np.asarray(v) for v in model.optimizer.variables],
    )


def restore(checkpoint, model, optimizer=None):
    """Writes the checkpoint into a model, and into an optimizer if given.

    Raises:
        UserError: if the model is not of the checkpoint's architecture.
    """
    _assign(model.variables, checkpoint.model, "model")
    if optimizer is not None:
        _assign(optimizer.variables, checkpoint.optimizer, "optimizer")


def write(folder, checkpoint):
    """Saves a checkpoint and deletes those that nothing needs any longer.

    Kept are the last two and the best of each of them: if the last is found
    broken, the one before it goes on with its own best.

    Raises:
        UserError: if the disk is full or the folder not writable; the
            checkpoints before stay as they were.
    """
    content = _encode(checkpoint)
    digest = hashlib.sha256(content).digest()
    atomic.write_bytes(path_of(folder, checkpoint.epoch), content + digest)
    before = checkpoint.epoch - 1
    needed = {
        checkpoint.epoch,
        before,
        checkpoint.best_epoch,
        best_epoch(checkpoint.history[:-1]),
    }
    for epoch in epochs(folder):
        if epoch not in needed:
            path_of(folder, epoch).unlink(missing_ok=True)


def read(folder, epoch):
    """The checkpoint of one epoch.

    Raises:
        UserError: if the file is missing, cut or altered.
    """
    path = path_of(folder, epoch)
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"a checkpoint must be readable, but: {error.strerror}. "
            f"Received: checkpoint={path}"
        ) from error
    content, digest = blob[:-_DIGEST_BYTES], blob[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise UserError(
            "a checkpoint must be whole, but its checksum does not fit. "
            f"Received: checkpoint={path}"
        )
    return _decode(content)


def latest(folder):
    """The last whole checkpoint, or None in a folder without any.

    A broken one is passed over for the one before it, with a line on stderr.

    Raises:
        UserError: if there are checkpoints and all of them are broken.
    """
    found = epochs(folder)
    for epoch in reversed(found):
        try:
            return read(folder, epoch)
        except UserError as error:
            print(
                f"warning: {error}; the one before it is used", file=sys.stderr
            )
    if found:
        raise UserError(
            "one checkpoint at least must be whole; delete the run folder to "
            f"start again. Received: checkpoints={folder}"
        )
    return None


def epochs(folder):
    """The epochs that have a checkpoint in `folder`, ascending."""
    names = (_NAME.fullmatch(p.name) for p in pathlib.Path(folder).glob("*"))
    return sorted(int(name[1]) for name in names if name)


def path_of(folder, epoch):
    """Where the checkpoint of `epoch` is."""
    return pathlib.Path(folder) / f"epoch-{epoch:05d}.npz"


def _assign(variables, arrays, owner):
    shapes = [tuple(v.shape) for v in variables]
    saved = [array.shape for array in arrays]
    if shapes != saved:
        raise UserError(
            f"the {owner} must have the checkpoint's {len(saved)} variables "
            f"of the same shapes. Received: variables={len(shapes)}"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _encode(checkpoint):
    header = {"epoch": checkpoint.epoch, "history": checkpoint.history}
    arrays = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for owner in ("model", "optimizer"):
        for index, array in enumerate(getattr(checkpoint, owner)):
            arrays[f"{owner}/{index:05d}"] = array
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _decode(content):
    with np.load(io.BytesIO(content)) as archive:
        header = json.loads(archive["header"].tobytes())
        owned = {
            owner: [
                archive[name]
                for name in sorted(archive.files)
                if name.startswith(f"{owner}/")
            ]
            for owner in ("model", "optimizer")
        }
    return Checkpoint(**header, **owned)
