"""The callback that prunes what `prune_channels` wrapped."""

import functools
import json

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.pruning import chains
from rrelu_tf.pruning.wrappers import kinds
from rrelu_tf.pruning.wrappers.bare import bare, bare_layers, wrappers
from rrelu_tf.pruning.wrappers.turns import Turns
from rrelu_tf.pruning.wrappers.wrapper import CallbackMissing
from rrelu_tf.scoring import check, score
from rrelu_tf.strip import keras_2
from rrelu_tf.strip.cloning import copy_weights


class UpdatePruningStep(keras.callbacks.Callback):
    """Counts training steps, makes masks anew and keeps weights to them.

    A model of `rrelu_tf.prune_channels` trains with this callback only, as
    TFMOT's does with its own. Steps, masks and thresholds are variables of
    the model: one that is saved and loaded in the middle of a schedule goes
    on where it was. A loop of your own calls what `fit` calls:
    `set_model`, `on_train_begin`, `on_epoch_begin` and `on_epoch_end`,
    `on_train_batch_begin`, `on_train_end`.

    Masked channels are 0 in every step (if they are soft: at the schedule's
    turns), in validation and at the ends of epochs and of training.

    Args:
        data: what scores by gradients are computed from, as of
            `rrelu_tf.score`.
        samples: int, the most examples that are used of it.
        batch_size: int, examples in a batch that is cut from a tuple.

    Raises:
        UserError: a model of tf_keras. When training begins: a model that has
            no wrapper that can lose channels, or is compiled with
            `steps_per_execution`; a score by gradients without data, or
            options that it does not have. At a turn of the schedule: what
            else `rrelu_tf.score` refuses. In the first step: another one
            beside it.
    """

    def __init__(self, data=None, samples=10_000, batch_size=128):
        super().__init__()
        self._data = {
            "data": data,
            "samples": samples,
            "batch_size": batch_size,
        }
        self._turns = self._driven = []

    def set_model(self, model):
        """Takes the model, if it is of Keras 3."""
        keras_2.refuse(model, "call rrelu_tf.prune_channels")
        super().set_model(model)

    def on_train_begin(self, logs=None):
        """Looks at the model."""
        execution = getattr(self.model, "steps_per_execution", 1)
        if execution != 1:
            raise UserError(
                "UpdatePruningStep works between training steps: compile with "
                f"steps_per_execution=1. Received: {execution}"
            )
        found = wrappers(self.model)
        self._twin = bare(self.model)
        self._layers = bare_layers(self.model)
        inner = {}
        for key, wrapper in found.items():
            if key in kinds.prunable(self._twin, wrapper.score):
                inner[key] = wrapper
        if not inner:
            raise UserError(
                "UpdatePruningStep is for a model with layers that "
                "prune_channels wrapped, not its output layers alone. "
                f"Received: model={self.model.name}"
            )
        labels = chains.chained(self._twin, list(inner))
        alike = {}
        for key, wrapper in inner.items():
            begun = max(wrapper.steps(), 0)  # each goes on from its own step
            alike.setdefault((wrapper.settings(), begun), {})[key] = wrapper
        self._turns = [
            Turns(self.model, self._twin, wrappers, labels)
            for wrappers in alike.values()
        ]
        for turns in self._turns:
            check(self._twin, **self._arguments(*turns.scored))
        self._watch_steps()
        self._driven = list(found.values())
        for wrapper in self._driven:
            wrapper.driver = id(self)
            if wrapper.steps() < 0:
                wrapper.pruning_step.assign(0)

    def on_train_batch_begin(self, batch, logs=None):
        """Begins a step: masks anew if the schedule says so."""
        if any(wrapper.driver != id(self) for wrapper in self._driven):
            raise UserError(
                "A model is trained with one UpdatePruningStep, which counts "
                "its steps. Received: UpdatePruningStep=several"
            )
        self._begun = True
        score_once = functools.cache(self._score)
        for turns in self._turns:
            turns.step(
                lambda method, options: score_once(method, json.dumps(options))
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Zeroes what is masked."""
        self._zero()

    def on_epoch_end(self, epoch, logs=None):
        """Zeroes what is masked."""
        self._zero()

    def on_test_begin(self, logs=None):
        """Zeroes what is masked."""
        self._zero()

    def on_train_end(self, logs=None):
        """Zeroes what is masked, and leaves the model."""
        self._zero()
        for wrapper in self._driven:
            if wrapper.driver == id(self):
                wrapper.driver = 0
        self._turns = self._driven = []
        self.model.train_function = None  # to be traced anew, and checked

    def _watch_steps(self):
        """From now on the model takes no step that was not begun.

        Training that was broken off never comes to `on_train_end`; it must
        not go on without this callback.
        """
        # One that failed for want of this callback cannot be traced again.
        self.model.make_train_function(force=True)
        step, self._begun = self.model.train_function, False

        def begun_step(iterator):
            if not self._begun:
                raise CallbackMissing
            self._begun = False
            return step(iterator)

        self.model.train_function = begun_step

    def _zero(self):
        for turns in self._turns:
            turns.zero()

    def _score(self, method, options):
        """The scores of the model as it is."""
        for key, layer in bare_layers(self._twin).items():
            if not isinstance(layer, keras.Model):
                copy_weights(self._layers[key], layer)
        return score(self._twin, **self._arguments(method, json.loads(options)))

    def _arguments(self, method, options):
        """What `score` is asked."""
        return {"method": method, **self._data, **options}
