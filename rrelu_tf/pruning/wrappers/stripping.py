"""strip_pruning: a wrapped model without its wrappers and masked channels."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.pruning.masking import mask
from rrelu_tf.pruning.wrappers.bare import bare, wrappers
from rrelu_tf.strip import keras_2, strip, verify
from rrelu_tf.strip.graph import trace
from rrelu_tf.strip.liveness import analyse


def strip_pruning(model, *, align="gather"):
    """The smaller model that is left when the masked channels are gone.

    The twin of `tfmot.sparsity.keras.strip_pruning`, which returns a model of
    the same size. Masks are written into the weights (`rrelu_tf.mask`), what
    is dead removed (`rrelu_tf.strip`) and the result compared with what it was
    made of (`rrelu_tf.verify`).

    Args:
        model: a `keras.Model` with wrappers of `rrelu_tf.prune_channels`; it
            is left as it is.
        align: as of `rrelu_tf.strip`.

    Returns:
        A new functional model without wrappers, as `rrelu_tf.strip` returns.

    Raises:
        UserError: a model without wrappers, or whose masks leave nothing out,
            or whose masks leave no way from the input to the output.
        NotEquivalent: the smaller model is not equal to the masked one.
    """
    keras_2.refuse(model, "call rrelu_tf.prune_channels")
    if not isinstance(model, keras.Model):
        raise UserError(
            "strip_pruning takes a keras.Model. "
            f"Received: model={type(model).__name__}"
        )
    found = wrappers(model)
    if not found:
        raise UserError(
            "strip_pruning takes a model with layers that prune_channels "
            f"wrapped. Received: model={model.name}"
        )
    keep = {key: wrapper.kept() for key, wrapper in found.items()}
    if all(stays.all() for stays in keep.values()):
        steps = max(wrapper.steps() for wrapper in found.values())
        raise UserError(
            "There must be a masked channel, and the schedule had no turn "
            "with a sparsity that takes one. "
            f"Received: pruning_step={steps}"
        )
    masked = mask(bare(model), keep)
    if not analyse(trace(masked)).connected:
        raise UserError(
            "Masks must leave a way from the input to the output, and these "
            "silence every channel of a layer on it: prune less, or raise "
            f"min_fraction. Received: model={model.name}"
        )
    stripped = strip(masked, align=align)
    verify(masked, stripped)
    return stripped
