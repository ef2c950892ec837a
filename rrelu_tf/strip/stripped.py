"""A model that remembers what it kept of its source's channels."""

import keras
import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.strip import keras_2
from rrelu_tf.strip.graph import deep


@keras.saving.register_keras_serializable(package="rrelu_tf")
class Stripped(keras.Model):
    """A functional model, as `rrelu_tf.strip` returns it.

    It is an ordinary functional `keras.Model` that saves three things more.

    Attributes:
        kept: layer name -> list of ints, the channels of the layer's output
            in the source model that this model computes.
        axes: layer name -> the axis that these lie along, without the batch.
        widths: layer name -> how many channels the layer had in the first
            source, before all stripping.
    """

    kept = None
    axes = None
    widths = None

    def get_config(self):
        """The functional model's configuration, `kept`, `axes` and `widths`."""
        own = {"kept": self.kept, "axes": self.axes, "widths": self.widths}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model that `get_config` describes."""
        config = dict(config)
        kept, axes = config.pop("kept"), config.pop("axes", None)
        widths = config.pop("widths", None)
        with deep(len(config["layers"])):
            model = super().from_config(config, custom_objects=custom_objects)
        model.kept, model.axes, model.widths = kept, axes, widths
        return model


def kept(model):
    """Which channels of the source a stripped model kept.

    Args:
        model: what `rrelu_tf.strip` returned, or such a model, loaded.

    Returns:
        dict: layer name -> int array (kept,), the indices of the source
        layer's output channels; layers that are gone have no entry.

    Raises:
        UserError: a model that `strip` did not make.
    """
    keras_2.refuse(model, "call rrelu_tf.strip")
    if not isinstance(model, Stripped) or model.kept is None:
        raise UserError(
            "Only a model that rrelu_tf.strip returned, no clone of it, knows "
            "what it kept. "
            f"Received: model={type(model).__name__}"
        )
    return {key: np.array(indices) for key, indices in model.kept.items()}
