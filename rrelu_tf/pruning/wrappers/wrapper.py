"""A layer, and which of its channels are to be gone."""

import json

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.pruning import schedules
from rrelu_tf.pruning.wrappers import kinds, options
from rrelu_tf.strip import keras_2


class CallbackMissing(UserError):
    """Training without `UpdatePruningStep`."""

    def __init__(self, *_):
        """Says so in one line, and in Keras's hands, too.

        What a layer raises Keras makes again, with a page of its own: that is
        passed over.
        """
        super().__init__(
            "A model of prune_channels needs its callback in training: "
            "fit(..., callbacks=[rrelu_tf.UpdatePruningStep()]). "
            "Received: callbacks=none of this kind"
        )


@keras.saving.register_keras_serializable(package="rrelu_tf")
class PruneChannels(keras.layers.Wrapper):
    """Computes what its layer does, and holds a mask of the layer's channels.

    `rrelu_tf.prune_channels` makes it, and `rrelu_tf.UpdatePruningStep` makes
    its masks and zeroes what they leave out; so that callback must be there
    in training. It has the name and dtype of its layer.

    Args:
        layer: a `keras.layers.Layer` of the kind that `score` is of.
        pruning_schedule: as of `prune_channels`.
        score: as of `prune_channels`.
        score_options: as of `prune_channels`.
        scope: as of `prune_channels`.
        min_fraction: as of `prune_channels`.
        soft: as of `prune_channels`.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Attributes:
        mask: non-trainable variable (channels,), 1 = keep, 0 = gone.
        threshold: non-trainable scalar, the lowest score that was kept; of
            layers that go together, the sum of theirs.
        pruning_step: non-trainable int64 scalar, training steps begun; -1
            before training.

    Raises:
        UserError: a layer without such a score, or an argument outside its
            range; when called in training without the callback.
    """

    def __init__(
        self,
        layer,
        pruning_schedule,
        score="l1",
        *,
        score_options=None,
        scope="layer",
        min_fraction=None,
        soft=False,
        **kwargs,
    ):
        keras_2.refuse(layer, "call rrelu_tf.prune_channels")
        options.check_layer(layer, score)
        options.check(scope, soft, min_fraction, score_options)
        same = {"name": layer.name, "dtype": layer.dtype_policy}
        super().__init__(layer, **{**same, **kwargs})
        self.pruning_schedule = schedules.get(pruning_schedule)
        self.score = score
        self.score_options = dict(score_options or {})
        self.scope = scope
        self.min_fraction = min_fraction
        self.soft = soft
        self.supports_masking = layer.supports_masking
        self.driver = 0  # the id of the callback that is at work

    def build(self, input_shape=None):
        """Builds the layer; makes `mask`, `threshold` and `pruning_step`."""
        super().build(input_shape)
        count = kinds.channels(self.layer)
        for name, shape, initial, dtype in (
            ("mask", (count,), 1, "float32"),
            ("threshold", (), 0, "float32"),
            ("pruning_step", (), -1, "int64"),
        ):
            variable = self.add_weight(
                shape=shape,
                initializer=keras.initializers.Constant(initial),
                dtype=dtype,
                trainable=False,
                autocast=False,
                name=name,
            )
            setattr(self, name, variable)

    def call(self, inputs, training=None, **kwargs):
        """What the layer computes."""
        if training and not self.driver:
            raise CallbackMissing
        return self.layer(inputs, **kwargs)

    def compute_output_shape(self, input_shape):
        """The layer's."""
        return self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs, previous_mask=None):
        """The layer's mask of time steps."""
        return self.layer.compute_mask(inputs, previous_mask)

    def kept(self):
        """bool array (channels,): those that the mask keeps."""
        return _array(self.mask) > 0

    def steps(self):
        """int: training steps begun; -1 before training."""
        return int(_array(self.pruning_step))

    def lowest(self):
        """float: the threshold."""
        return float(_array(self.threshold))

    def settings(self):
        """All that says how masks are made, as text: to tell those alike."""
        names = ("score", "score_options", "scope", "min_fraction", "soft")
        given = {name: getattr(self, name) for name in names}
        schedule = schedules.serialize(self.pruning_schedule)
        return json.dumps([schedule, given], sort_keys=True, default=float)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "pruning_schedule": schedules.serialize(self.pruning_schedule),
            "score": self.score,
            "score_options": dict(self.score_options),
            "scope": self.scope,
            "min_fraction": self.min_fraction,
            "soft": self.soft,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The wrapper that `get_config` describes."""
        config = dict(config)
        layer = keras.saving.deserialize_keras_object(
            config.pop("layer"), custom_objects=custom_objects
        )
        return cls(layer, **config)


def _array(variable):
    """A variable's value, that of a replicated one, too."""
    tensor = keras.ops.convert_to_tensor(variable)
    return keras.ops.convert_to_numpy(tensor)


def unwrapped(layer):
    """The layer that a wrapper holds; any other layer as it is."""
    return layer.layer if isinstance(layer, PruneChannels) else layer
