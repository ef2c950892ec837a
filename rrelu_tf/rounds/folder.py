"""The folder of a pruning in rounds, from which it goes on after a kill.

    rounds.json    what was asked for, and of which net
    stripped1/     what round 1 pruned, before retraining, and its figures
    plain1/        its training without OrthoReg, where one with it follows
    between1/      the net that it hands on
    round1/        the run folder of its (last) training
    stripped2/ ... and at the end model.keras, manifest.json, report.*

Each appears whole or, as a run does, goes on from its last whole epoch: no
state is kept twice, and what is there is what was done.
"""

import contextlib
import json
import pathlib
import re
import shutil

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.training import claim

REQUEST = "rounds.json"
_OURS = re.compile(r"(stripped|plain|between|round)\d+|rounds\.json|\..*")


class Folder:
    """Paths in the folder, and who may write there."""

    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()

    def stripped(self, number):
        """Where a round's pruned model and its figures are."""
        return self.path / f"stripped{number}"

    def plain(self, number):
        """Where the first of a round's two trainings is."""
        return self.path / f"plain{number}"

    def between(self, number):
        """Where the net is that goes on to a round's second training."""
        return self.path / f"between{number}"

    def round(self, number):
        """Where a round's last training is."""
        return self.path / f"round{number}"

    @property
    def is_finished(self):
        """Whether the report of all rounds is there; it is written last."""
        return (self.path / "report.md").is_file()

    @contextlib.contextmanager
    def claimed(self, request):
        """Begins or goes on with what was asked; others have to wait.

        Args:
            request: dict of plain values: what decides the result.

        Raises:
            UserError: a folder of something else or of another request, one
                that cannot be written, or where another process is at work.
        """
        request = json.loads(json.dumps(request))
        self._check()
        new = claim.make_folder(self.path)
        with claim.claimed(self.path):
            try:
                self._begin(request)
                yield
            finally:
                if new and not self.stripped(1).is_dir():
                    shutil.rmtree(self.path)

    def _check(self):
        if not self.path.exists():
            return
        there = [] if not self.path.is_dir() else list(self.path.iterdir())
        ours = (self.path / REQUEST).is_file()
        strange = [p for p in there if not _OURS.fullmatch(p.name)]
        if not self.path.is_dir() or (strange and not ours):
            raise UserError(
                "Pruning in rounds needs a new or empty folder, or its own to "
                f"go on in. Received: out={self.path}"
            )

    def _begin(self, request):
        file = self.path / REQUEST
        if file.is_file() and self.stripped(1).is_dir():
            _compare(_read(file), request, self.path)
        for leftover in self.path.glob(".*.tmp"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
        atomic.discard_leftovers(self.path, "*")
        atomic.write_text(file, json.dumps(request, indent=2) + "\n")


def _read(file):
    try:
        found = json.loads(file.read_text())
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError) as error:
        raise UserError(
            f"{REQUEST} must be readable. Received: out={file.parent}"
        ) from error


def _compare(old, new, path):
    """Refuses to go on with what was begun as something else."""
    differing = [
        f"{name}: {old.get(name)} => {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise UserError(
            "The folder belongs to pruning with other flags "
            f"({', '.join(differing)}); choose another --out. "
            f"Received: out={path}"
        )
