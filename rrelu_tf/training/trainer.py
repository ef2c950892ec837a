"""Trains a recipe in a run folder, from wherever that run stands."""

import contextlib
import dataclasses
import pathlib

import keras
import tensorflow as tf

from rrelu_tf.errors import UserError
from rrelu_tf.training import (
    building,
    checkpoints,
    claim,
    feeding,
    metrics_table,
    phases,
    pictures,
    report,
    run_folder,
    starting,
    strategy,
    tickets,
    workers,
)
from rrelu_tf.training.finite_loss import FiniteLoss
from rrelu_tf.training.input_wait import InputWait
from rrelu_tf.training.interruption import Interruption
from rrelu_tf.training.measuring import Measuring
from rrelu_tf.training.monitoring import Monitoring
from rrelu_tf.training.orthogonality_summaries import OrthogonalitySummaries
from rrelu_tf.training.progress import Progress
from rrelu_tf.training.saving import Saving

PEER_TIMEOUT = 300.0  # seconds that workers wait for each other


def train(
    recipe,
    path,
    *,
    data_dir=None,
    download=False,
    devices=None,
    peer_timeout=PEER_TIMEOUT,
):
    """Trains, or goes on training, and reports.

    A run that was stopped or killed goes on from its last whole checkpoint
    and, on one device and with `recipe.deterministic`, ends bit for bit where
    the uninterrupted run ends. A finished run is only opened.

    Args:
        recipe: a `Recipe`.
        path: the run's folder; made if it is not there.
        data_dir: where the data set lies, see `rrelu_tf.data.load`.
        download: bool, whether it may be fetched.
        devices: the `tf.distribute.Strategy`, where several runs of a process
            share it; None: `strategy.create` of the recipe.
        peer_timeout: float, seconds to wait for the other workers of a recipe
            with the strategy multiworker.

    Returns:
        The `Run`.

    Raises:
        UserError: if the folder belongs to another recipe or cannot be
            written, the data cannot be read, the loss stops being finite, the
            other workers do not come, or several are told to fetch the data.
        WorkerLost: if one is lost; the last whole epoch is saved.
        Interrupted: if SIGTERM or SIGINT came; the last whole epoch is saved.
    """
    if download and recipe.strategy == strategy.MULTIWORKER:
        raise UserError(
            "Several workers must not fetch the same data: let one process do "
            "it before, by rrelu_tf.data.load. Received: download=True"
        )
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        run = run_folder.find(path, recipe)
        if run is not None and run.is_finished:
            print(f"the run is finished already: {run.path}")
            return run
        # First: a seed starts TensorFlow's runtime, with the devices it has.
        folder = path
        if devices is None:
            devices, folder = stack.enter_context(
                workers.joined(recipe, path, peer_timeout)
            )
        where = {"data_dir": data_dir, "download": download}
        writes = folder == path
        run = _train(recipe, folder, devices, interruption, where, writes)
    if writes:
        print(f"the run is finished: {path}; see {run.path / 'report.md'}")
    return dataclasses.replace(run, path=pathlib.Path(path))


def _train(recipe, path, devices, interruption, where, writes):
    start = starting.place(recipe, path)
    building.check(recipe, start)
    tickets.check(recipe)
    _prepare(recipe, devices)
    data = building.load_data(recipe, **where)
    _check_execution(recipe, data.steps_per_epoch)
    data.check_shares(devices.num_replicas_in_sync)
    watching = [interruption, InputWait()]
    with devices.scope(), building.precision(recipe.mixed_precision):
        model = building.make_model(
            recipe, data.num_classes, data.image_shape, start
        )
        if start is not None:
            starting.check(model, data)
        interruption.check()
        with claim.claimed(path):
            run = run_folder.start(path, recipe, data, model, **where)
            early_bird = tickets.create(run, model, data)
            _fit(run, model, data, devices, watching, early_bird)
            # Made by all workers, as every model is; the chief draws it.
            last = run.last()
            if writes:
                plots, zeta = run.path / "plots", recipe.monitor_zeta
                pictures.draw(plots, last, zeta, run.metrics)
            report.write(
                *(run, model, _test(devices, data)),
                *([interruption], early_bird),
            )
    return run


def _prepare(recipe, devices):
    if recipe.mixed_precision == "float16" and devices.num_replicas_in_sync > 1:
        # Keras's loss scaling looks at the first replica's gradients alone.
        raise UserError(
            "On several replicas mixed precision must be bfloat16, as float16 "
            "can turn the weights NaN. Received: mixed_precision=float16"
        )
    if recipe.steps_per_execution > 1 and devices.num_replicas_in_sync > 1:
        raise UserError(  # TensorFlow fails in Keras's loop over them
            "steps_per_execution is for one replica. "
            f"Received: steps_per_execution={recipe.steps_per_execution}"
        )
    keras.utils.set_random_seed(recipe.seed)
    # XLA refuses to compile under TensorFlow's switch; on a CPU it needs none.
    if recipe.deterministic and not recipe.jit_compile:
        tf.config.experimental.enable_op_determinism()


def _check_execution(recipe, steps):
    if steps % recipe.steps_per_execution:
        raise UserError(
            f"steps_per_execution must divide the {steps} steps of an epoch. "
            f"Received: steps_per_execution={recipe.steps_per_execution}"
        )


def _fit(run, model, data, devices, watching, early_bird):
    trainable, epochs = list(model.trainable_variables), run.recipe.epochs
    checkpoint = checkpoints.latest(run.checkpoints)
    if checkpoint is not None and len(checkpoint.history) < epochs:
        print(f"going on after epoch {len(checkpoint.history)} of {epochs}")
    for phase in phases.of(run.recipe):
        if checkpoint is not None:
            checkpoints.restore(checkpoint, model)
            metrics_table.write(run.metrics, checkpoint.history)
        if phase.is_ahead(checkpoint, epochs):
            phase.prepare(model, trainable)
            _fit_phase(
                *(run, phase, checkpoint, model, data),
                *(devices, watching, early_bird),
            )
            checkpoint = checkpoints.latest(run.checkpoints)
    if early_bird is not None:
        tickets.tell(early_bird)


def _fit_phase(
    run, phase, checkpoint, model, data, devices, watching, early_bird
):
    """Goes on with a phase from the checkpoint, or from its own start."""
    recipe = run.recipe
    history = checkpoint.history if checkpoint else []
    done = len(history)
    schedule = building.create_schedule(
        recipe, data.steps_per_epoch, phase.epochs
    )
    building.compile_model(recipe, model, schedule)
    if checkpoint is not None and (done > phase.start or not done):
        checkpoints.restore(checkpoint, model, model.optimizer)
    saving = Saving(run, history, phase.step)
    saving.set_model(model)
    # Epoch 0 too; and after a resume the table fits the checkpoint again.
    if done == 0 or done > phase.start:
        saving.save()
    drawn = early_bird is not None and tickets.resume(early_bird, run, done)
    if drawn or done == phase.end:
        return
    progress = Progress(phase.end, done, data.steps_per_epoch)
    with progress:
        training = feeding.feed(
            devices, data, lambda part: part.train(done, phase.end)
        )
        model.fit(
            training,
            steps_per_epoch=data.steps_per_epoch,
            initial_epoch=done,
            epochs=phase.end,
            **_validation(devices, data),
            shuffle=False,
            verbose=0,
            callbacks=[
                *watching,
                FiniteLoss(),
                *([] if early_bird is None else [early_bird]),
                Measuring(schedule, recipe.monitor_zeta),
                Monitoring(run.tensorboard, recipe.monitor_zeta, done == 0),
                *_orthogonality(run, done == 0),
                saving,
                progress,
            ],
        )


def _validation(devices, data):
    """What `fit` is told about it."""
    if not data.validation_size:
        return {}
    batches = feeding.feed(devices, data, lambda part: part.validation)
    steps = feeding.steps(batches, data.validation_size, data.batch_size)
    return {"validation_data": batches, "validation_steps": steps}


def _test(devices, data):
    """What `evaluate` is told of the test data."""
    batches = feeding.feed(devices, data, lambda part: part.test)
    steps = feeding.steps(batches, data.test_size, data.batch_size)
    return {"x": batches, "steps": steps}


def _orthogonality(run, begins):
    """The callback that follows OrthoReg at work, where it is on."""
    if not run.recipe.orthoreg:
        return []
    protocol = run.recipe.ortho_protocol
    return [OrthogonalitySummaries(run.tensorboard, begins, protocol)]
