"""Pruning in rounds: from the flags to the net, its recipe and its data."""

import dataclasses
import pathlib

from rrelu_tf.commands import data_flags, model_flags
from rrelu_tf.errors import UserError
from rrelu_tf.rounds import retraining


def prune(values, plan):
    """Prunes what the flags name by a `Plan`, or goes on with it."""
    from rrelu_tf.rounds import running
    from rrelu_tf.training import strategy

    run = recipe = None
    if values.run:
        run = finished(values.run)
        recipe = _in_one_process(run.recipe)
    else:
        recipe = _recipe(values)
    retraining.check(recipe, plan)
    # First: a model would start TensorFlow's runtime, with the devices it has.
    devices = strategy.create(recipe.strategy, recipe.virtual_devices)
    if run is not None:
        base, out = of_run(run, plan.which), run.path / "pruned"
        data = data_flags.load(values, run)
    else:
        base, out, data = _of_file(values, recipe)
    out = pathlib.Path(values.out or out)
    where = {
        "data_dir": values.data_dir or (run and run.flags["data_dir"]),
        "download": values.download,
    }
    report = running.run(base, plan, out, data, devices=devices, **where)
    show(report, out)


def train(values, recipe, path, plan):
    """bin/train with --prune: trains, or takes a trained net, then prunes."""
    from rrelu_tf.rounds import pretrained, running
    from rrelu_tf.training import building, strategy, trainer

    where = {"data_dir": values.data_dir, "download": values.download}
    devices = strategy.create(recipe.strategy, recipe.virtual_devices)
    if values.pretrained:
        data = building.load_data(recipe, **where)
        base = pretrained.load(values.pretrained, recipe, data, plan.which)
    else:
        run = trainer.train(recipe, path, devices=devices, **where)
        base, data = of_run(run, plan.which), run.data(**where)
    out = pathlib.Path(path) / "pruned"
    report = running.run(base, plan, out, data, devices=devices, **where)
    show(report, out)


def finished(path):
    """The finished `Run` in a folder.

    Raises:
        UserError: if there is none.
    """
    from rrelu_tf.training.run_folder import Run

    run = Run.open(path)
    if not run.is_finished:
        raise UserError(
            "bin/prune needs a finished run: the same bin/train command goes "
            f"on with it. Received: run={run.path}"
        )
    return run


def of_run(run, which):
    """The `Base` that a run's last or best epoch is."""
    from rrelu_tf.rounds.base import Base
    from rrelu_tf.training import origin

    model = run.last() if which == "last" else run.best()
    notes = {"run": str(run.path)}
    recipe = _in_one_process(run.recipe)
    return Base(model, recipe, origin.of_run(run), notes)


def _in_one_process(recipe):
    """The recipe to retrain by, of a run that several processes trained."""
    if recipe.strategy != "multiworker":
        return recipe
    return dataclasses.replace(recipe, strategy="auto")


def _recipe(values):
    """The `Recipe` to retrain a model without a run by."""
    from rrelu_tf.training import origin
    from rrelu_tf.training.recipe import Recipe

    path = pathlib.Path(values.model)
    known = origin.of(path).get("flags")
    named = data_flags.given(values)
    if known is None and "dataset" not in named:
        raise UserError(
            "A model that no run made is retrained, and scored by data, on "
            f"--dataset. Received: dataset={values.dataset}"
        )
    return Recipe.from_dict(
        (known or Recipe(activation="relu").to_dict()) | named
    )


def _of_file(values, recipe):
    """(`Base`, folder to write, data) of a model that no run made."""
    from rrelu_tf.export import fitting
    from rrelu_tf.layers import Rotated
    from rrelu_tf.rounds.base import Base
    from rrelu_tf.strip.graph import layers_of
    from rrelu_tf.training import building, origin

    path = pathlib.Path(values.model)
    chosen = model_flags.from_file(path)
    where = {"data_dir": values.data_dir, "download": values.download}
    data = building.load_data(recipe, **where)
    if chosen.preprocessing not in (None, data.preprocessing):
        raise UserError(
            "The manifest beside the model has another preprocessing than the "
            "data: give --normalization and --image_size as it was trained. "
            f"Received: model={path}"
        )
    fitting.check(chosen.model, data.image_shape, data.num_classes)
    kinds = {
        type(layer).__name__.lower()
        for layer in layers_of(chosen.model, Rotated).values()
    }
    if kinds:
        recipe = dataclasses.replace(recipe, activation=min(kinds))
    known = origin.of(path)
    known = known if "dense" in known else {}
    base = Base(chosen.model, recipe, known, {"model": str(path)})
    return base, path.with_name(f"{path.stem}_pruned"), data


def show(report, out):
    """The report and where the files are."""
    report.print()
    for key, note in report.notes.items():
        if note is not None:
            print(f"{key}: {note}")
    print(f"model, manifest, report and the rounds: {out}")
