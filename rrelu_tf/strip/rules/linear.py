"""Convolutions and dense layers: every output mixes every input."""

import keras
import numpy as np

from rrelu_tf.strip.graph import clone
from rrelu_tf.strip.rules.activations import is_elementwise, is_silent
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.table import rule


class Linear(Rule):
    """A kernel `(..., in, out)`, an optional bias, an optional activation.

    An output is zero if all entries from non-zero inputs, its bias and f(0)
    are; an input is needed if it has a non-zero entry into a live output.
    """

    width = None  # name of the constructor argument that sets the outputs

    def covers(self, call):
        """One full matrix: no groups, no quantised kernel, no LoRA."""
        layer = call.layer
        return (
            getattr(layer, "groups", 1) == 1
            and getattr(layer, "quantization_mode", None) is None
            and not getattr(layer, "lora_enabled", False)
        )

    def zero(self, call):
        """Outputs that no live input, bias or activation makes non-zero."""
        layer = call.layer
        if not is_silent(layer.activation):
            return super().zero(call)
        reached = self._mixing(layer)[~call.zero[0]].any(axis=0)
        if layer.use_bias:
            reached |= value(layer.bias) != 0
        return [~reached]

    def needed(self, call):
        """Inputs that reach a live output."""
        outputs = self._outputs(call)
        return [self._mixing(call.layer)[:, outputs].any(axis=1)]

    def twin(self, call):
        """The kernel's rows of the inputs there are, its live columns."""
        layer = call.layer
        rows, columns = call.have[0], self._outputs(call)
        weights = {"kernel": value(layer.kernel)[..., rows, :][..., columns]}
        if layer.use_bias:
            weights["bias"] = value(layer.bias)[columns]
        narrow = clone(layer, **{self.width: len(columns)})
        return Twin(narrow, [rows], [columns], weights)

    def _outputs(self, call):
        """Live outputs; all of them if the activation mixes channels."""
        if is_elementwise(call.layer.activation):
            return call.kept_out()
        return np.arange(len(call.alive[0]))

    def _mixing(self, layer):
        """bool (in, out): whether the kernel connects the two."""
        kernel = value(layer.kernel)
        return (kernel != 0).any(axis=tuple(range(kernel.ndim - 2)))


@rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class Convolution(Linear):
    """Conv1D, Conv2D, Conv3D."""

    width = "filters"


@rule(keras.layers.Dense)
class Dense(Linear):
    """Dense, over the last axis of any rank."""

    width = "units"
