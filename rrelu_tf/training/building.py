"""From a recipe to its data and its model."""

import contextlib
import os

import keras

from rrelu_tf import data, models
from rrelu_tf.errors import UserError
from rrelu_tf.training import optimizers, schedules, strategy


def check(recipe):
    """Refuses at once what needs no data to be found wrong.

    Raises:
        UserError: for an unknown architecture, activation, optimizer or
            schedule, or choices of theirs that do not go together.
    """
    create_optimizer(recipe, create_schedule(recipe, steps_per_epoch=1))
    # Layers without weights: a fraction of a second, and no memory.
    with keras.StatelessScope(initialize_variables=False):
        create_model(recipe, num_classes=1, input_shape=(4, 4, 1))


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
    }
    return data.load(recipe.dataset, data_dir=data_dir, **chosen | options)


def _check_folder(data_dir):
    if not os.path.isdir(os.path.expanduser(data_dir)):
        raise UserError(
            f"data_dir must be a folder. Received: data_dir={data_dir}"
        )


def create_model(recipe, num_classes, input_shape):
    """The recipe's model, newly initialised, in the current dtype policy."""
    regularizer = None
    if recipe.slope_l1:
        regularizer = keras.regularizers.L1(recipe.slope_l1)
    try:
        return models.create(
            recipe.arch,
            num_classes=num_classes,
            input_shape=tuple(input_shape),
            activation=recipe.activation,
            slope_regularizer=regularizer,
            sync_batch_norm=recipe.sync_batch_norm,
        )
    except UserError as error:
        # What a model calls its name, a recipe calls its architecture.
        name = f"Received: name={recipe.arch}"
        arch = f"Received: arch={recipe.arch}"
        raise UserError(str(error).replace(name, arch)) from error


def create_schedule(recipe, steps_per_epoch):
    """The recipe's learning rate, a function of the step."""
    return schedules.create(
        recipe.schedule,
        recipe.learning_rate,
        epochs=recipe.epochs,
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
