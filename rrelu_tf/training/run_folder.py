"""A run's folder: which flags it belongs to, and what is in it."""

import dataclasses
import functools
import json
import pathlib

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.training import (
    building,
    checkpoints,
    claim,
    origin,
    starting,
    surroundings,
)
from rrelu_tf.training.recipe import Recipe

_FILE = "run.json"
_NONE = {"network": ""}  # of a run from scratch
# What reading a file of something else raises.
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
        path: pathlib.Path of the folder.
        info: dict, what `run.json` holds.
    """

    path: pathlib.Path
    info: dict

    @classmethod
    def open(cls, path):
        """The run in folder `path`.

        Raises:
            UserError: if there is none, or one without its flags.
        """
        path = pathlib.Path(path)
        try:
            info = json.loads((path / _FILE).read_text())
            Recipe.from_dict(info["flags"])
            if not isinstance(info.get("origin", _NONE)["network"], str):
                raise TypeError("network")
        except UserError as error:
            rule = str(error).partition(" Received: ")[0]
            raise UserError(
                f"a run folder must hold a readable {_FILE}, but: {rule} "
                f"Received: run={path}"
            ) from error
        except _DAMAGED as error:
            raise UserError(
                f"a run folder must hold a readable {_FILE}. "
                f"Received: run={path}"
            ) from error
        return cls(path, info)

    @property
    def flags(self):
        """Dict of the flags as run."""
        return self.info["flags"]

    @property
    def recipe(self):
        """The `Recipe` that was run."""
        return Recipe.from_dict(self.flags)

    @functools.cached_property
    def origin(self):
        """What `origin.of` knows of the model that the run started from.

        None for a run that started from scratch.
        """
        if not self.recipe.start:
            return None
        # Runs older than the note are looked up where they started.
        return self.info.get("origin") or origin.of(self.recipe.start)

    @property
    def network(self):
        """The architecture; that of the model to start from, if there is one.

        The name of its file where nothing is known of it.
        """
        return self.origin["network"] if self.origin else self.recipe.arch

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self):
        """The table with one row per epoch."""
        return self.path / "metrics.csv"

    @property
    def tensorboard(self):
        """Folder of the TensorBoard logs."""
        return self.path / "tensorboard"

    @property
    def best_epoch(self):
        """The epoch best on validation so far (the last one without it)."""
        return self._latest.best_epoch

    @property
    def epochs_done(self):
        """Whole epochs trained so far; `recipe.epochs` is where it ends.

        Raises:
            UserError: if there is no whole checkpoint, not even epoch 0's.
        """
        return self._latest.epoch

    @property
    def is_finished(self):
        """Whether all epochs are done and reported."""
        files = (self.path / "report.json", self.path / "report.md")
        return all(file.is_file() for file in files)

    def last(self):
        """A new float32 model with the weights of the last epoch."""
        return self._model(self._latest)

    def best(self):
        """A new float32 model with the weights best on validation.

        Raises:
            UserError: if no whole checkpoint of that epoch is there.
        """
        if self._latest.epoch == self.best_epoch:
            return self.last()
        return self._model(checkpoints.read(self.checkpoints, self.best_epoch))

    def data(self, **overrides):
        """The run's data, loaded anew; see `rrelu_tf.data.load`."""
        where = {"data_dir": self.flags["data_dir"]}
        return building.load_data(self.recipe, **where | overrides)

    @functools.cached_property
    def _latest(self):
        checkpoint = checkpoints.latest(self.checkpoints)
        if checkpoint is None:
            raise UserError(
                f"a run must have a checkpoint. Received: run={self.path}"
            )
        return checkpoint

    def _model(self, checkpoint):
        model = building.make_model(
            self.recipe,
            self.info["num_classes"],
            self.info["image_shape"],
            starting.place(self.recipe, self.path),
        )
        checkpoints.restore(checkpoint, model)
        return model


def find(path, recipe):
    """The run in folder `path`, or None where a new one may start.

    Raises:
        UserError: if the folder holds a run of another recipe (naming what
            differs) or something that is no run, or cannot be read.
    """
    path = pathlib.Path(path)
    try:
        if _is_free(path):
            return None
    except OSError as error:
        raise UserError(
            f"the run folder must be readable, but: {error.strerror}. "
            f"Received: run={path}"
        ) from error
    run = Run.open(path)
    old, new = run.recipe.to_dict(), recipe.to_dict()
    differing = [
        f"{name}: {old[name]} => {new[name]}"
        for name in new
        if old[name] != new[name]
    ]
    if differing:
        raise UserError(
            f"the folder belongs to a run with other flags "
            f"({', '.join(differing)}); choose another --run. "
            f"Received: run={path}"
        )
    return run


def start(path, recipe, data, model, *, data_dir, download):
    """Makes or refreshes the folder of a run and returns the `Run`.

    Args:
        path: of the folder.
        recipe: the `Recipe`.
        data: its `Data`.
        model: the `keras.Model` that is trained.
        data_dir: where the data lie, or None.
        download: bool, whether they may be fetched.

    Raises:
        UserError: if the folder cannot be written, or if it belongs to a run
            on other data.
    """
    path = pathlib.Path(path)
    info = {
        "flags": recipe.to_dict()
        | {"data_dir": data_dir and str(data_dir), "download": download},
        **_describe(data),
        **surroundings.describe(),
    }
    if (path / _FILE).exists():
        run = Run.open(path)
        _same_data(run.info, info, path)
        # Where the data lie may have changed; what it ran on first is kept.
        info = run.info | {"flags": info["flags"]}
    elif recipe.start:
        info["origin"] = origin.describe(recipe.start, model)
    claim.make_folder(path / "checkpoints")
    for folder, names in _WRITTEN.items():
        atomic.discard_leftovers(path / folder, *names)
    atomic.write_text(path / _FILE, json.dumps(info, indent=2) + "\n")
    starting.keep(recipe, path)
    return Run(path, info)


_DATA = (
    "num_classes",
    "class_names",
    "image_shape",
    "train_size",
    "validation_size",
    "test_size",
)


def _describe(data):
    described = {name: getattr(data, name) for name in _DATA}
    described["image_shape"] = list(data.image_shape)
    described["class_names"] = list(data.class_names)
    return described | {"data": data.description}


def _same_data(old, new, path):
    for name in _DATA:
        if old[name] != new[name]:
            raise UserError(
                "a run must go on with the data it began with "
                f"({name}: {old[name]} => {new[name]}). Received: run={path}"
            )


# What training writes by way of temporary files, which a killed process could
# not delete. Other commands may be writing theirs in the same folder.
_WRITTEN = {
    ".": (
        *(_FILE, starting.FILE),
        *("metrics.csv", "report.json", "report.md"),
    ),
    "checkpoints": ("epoch-*.npz",),
    "plots": ("*.png",),
}


def _is_free(path):
    """Whether a new run may start in `path`; raises `OSError`."""
    if not path.exists():
        return True
    if not path.is_dir():
        raise UserError(f"a run folder must be a folder. Received: run={path}")
    if (path / _FILE).exists():
        return False
    ours = {path / claim.FILE, *atomic.leftovers(path, _FILE)}
    for entry in path.iterdir():
        empty = entry.is_dir() and not any(entry.iterdir())
        if entry not in ours and not (entry.name == "checkpoints" and empty):
            raise UserError(
                f"a new run needs a new or empty folder. Received: run={path}"
            )
    return True
