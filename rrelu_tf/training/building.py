"""From a recipe to its data and its model."""

import ast
import contextlib
import os

import keras

from rrelu_tf import data, filters, models
from rrelu_tf.errors import UserError
from rrelu_tf.orthogonalization import is_orthogonalized, orthogonalize
from rrelu_tf.training import (
    optimizers,
    penalties,
    phases,
    schedules,
    starting,
    strategy,
)


def check(recipe, start=None):
    """Refuses at once what needs no data to be found wrong.

    Args:
        recipe: the `Recipe`.
        start: path of the model to start from, None for none.

    Raises:
        UserError: for an unknown architecture, activation, optimizer or
            schedule, or choices of theirs that do not go together.
    """
    for phase in phases.of(recipe):
        schedule = create_schedule(recipe, 1, phase.epochs)
        create_optimizer(recipe, schedule)
    if start is not None:
        make_model(recipe, 1, (32, 32, 3), start)
        return
    if _options(recipe):  # do patches fit? The images' size tells
        return
    # Layers without weights: a fraction of a second, and no memory.
    with keras.StatelessScope(initialize_variables=False):
        make_model(recipe, num_classes=1, input_shape=(32, 32, 3))


def load_data(recipe, *, data_dir=None, **options):
    """The recipe's data; see `rrelu_tf.data.load` for the options and errors.

    Raises:
        UserError: also for a `data_dir` that is not there, though the data
            set may need none.
    """
    # TFDS makes the folder that it downloads to.
    if data_dir is not None and not options.get("download"):
        _check_folder(data_dir)
    chosen = {
        "batch_size": recipe.batch_size,
        "validation_split": recipe.validation_split,
        "seed": recipe.seed,
        "image_size": recipe.image_size,
        "augmentation": recipe.augmentation,
        "normalization": recipe.normalization,
        "cache": recipe.cache,
    }
    return data.load(recipe.dataset, data_dir=data_dir, **chosen | options)


def _check_folder(data_dir):
    if not os.path.isdir(os.path.expanduser(data_dir)):
        raise UserError(
            f"data_dir must be a folder. Received: data_dir={data_dir}"
        )


def create_model(recipe, num_classes, input_shape):
    """The recipe's model, newly initialised, in the current dtype policy."""
    try:
        return models.create(
            recipe.arch,
            num_classes=num_classes,
            input_shape=tuple(input_shape),
            activation=recipe.activation,
            sync_batch_norm=recipe.sync_batch_norm,
            fused=recipe.fused,
            **_options(recipe),
        )
    except UserError as error:
        # What a model calls its name, a recipe calls its architecture.
        name = f"Received: name={recipe.arch}"
        arch = f"Received: arch={recipe.arch}"
        raise UserError(str(error).replace(name, arch)) from error


def _options(recipe):
    """The architecture's own options, of "name=value" texts."""
    if not recipe.arch_options:
        return {}
    options, known = {}, models.own_options(recipe.arch)
    received = f"Received: arch_options={','.join(recipe.arch_options)}"
    for text in recipe.arch_options:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise UserError(
                f"arch_options of {recipe.arch} are "
                f"{', '.join(known) or 'none'}. {received}"
            )
        try:
            options[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError) as error:
            raise UserError(
                f"arch_options must be like {name}=4, with a number. {received}"
            ) from error
    return options


def make_model(recipe, num_classes, input_shape, start=None):
    """The model that a run trains: new, or the one in the file `start`.

    Its OrthoReg and L1 penalties are the recipe's: those of another run are
    taken off.
    """
    if start is None:
        model = create_model(recipe, num_classes, input_shape)
    else:
        model = starting.load(start, recipe.activation)
    model = _orthogonalized(recipe, model)
    penalties.give(model, slope_l1=recipe.slope_l1, gamma_l1=recipe.gamma_l1)
    return model


def _orthogonalized(recipe, model):
    """The model with the recipe's OrthoReg penalty, and no other such."""
    if not recipe.orthoreg and not is_orthogonalized(model):
        return model
    if recipe.orthoreg and not filters.of(model):
        raise UserError(
            "orthoreg needs a model that has convolutions. "
            f"Received: orthoreg={recipe.orthoreg}"
        )
    return orthogonalize(model, recipe.orthoreg, protocol=recipe.ortho_protocol)


def create_schedule(recipe, steps_per_epoch, epochs=None):
    """The recipe's learning rate, a function of the step.

    Over the whole run, or over so many `epochs` of it.
    """
    return schedules.create(
        recipe.schedule,
        recipe.learning_rate,
        epochs=epochs or recipe.epochs,
        steps_per_epoch=steps_per_epoch,
        warmup_epochs=recipe.warmup_epochs,
        milestones=recipe.milestones,
        gamma=recipe.gamma,
    )


def create_optimizer(recipe, schedule):
    """The recipe's optimizer, not built yet."""
    return optimizers.create(
        recipe.optimizer,
        schedule,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        slope_decay=recipe.slope_decay,
        slope_learning_rate=recipe.slope_learning_rate,
    )


def compile_model(recipe, model, schedule):
    """Gives a model the recipe's loss and a built optimizer."""
    model.compile(
        optimizer=create_optimizer(recipe, schedule),
        loss=strategy.GlobalBatchLoss(
            SmoothedCrossentropy(recipe.label_smoothing)
        ),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=recipe.jit_compile,
        steps_per_execution=recipe.steps_per_execution,
    )
    model.optimizer.build(model.trainable_variables)


@contextlib.contextmanager
def precision(name):
    """Layers made inside compute in `name` (none, float16, bfloat16)."""
    before = keras.config.dtype_policy()
    if name != "none":
        keras.config.set_dtype_policy(f"mixed_{name}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@keras.saving.register_keras_serializable(package="rrelu_tf")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and int labels, with label smoothing.

    Keras smooths one-hot labels only; the metric wants ints. Without
    smoothing it is `SparseCategoricalCrossentropy(from_logits=True)`.

    Args:
        smoothing: float in [0, 1), the share of the label spread evenly over
            all classes.
    """

    def __init__(self, smoothing=0.0, **options):
        super().__init__(**options)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        """Losses `(batch,)` of labels `(batch,)`, logits `(batch, classes)`."""
        if not self.smoothing:
            return keras.losses.sparse_categorical_crossentropy(
                y_true, y_pred, from_logits=True
            )
        one_hot = keras.ops.one_hot(
            keras.ops.cast(y_true, "int32"), y_pred.shape[-1]
        )
        return keras.losses.categorical_crossentropy(
            one_hot,
            y_pred,
            from_logits=True,
            label_smoothing=self.smoothing,
        )

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return super().get_config() | {"smoothing": self.smoothing}
