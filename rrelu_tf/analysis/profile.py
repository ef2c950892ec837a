"""What a model costs: parameters, weights, operations, layer by layer."""

import dataclasses
import math

import keras
from rich.table import Table

from rrelu_tf.analysis import macs, text
from rrelu_tf.analysis.calls import calls
from rrelu_tf.layers import PositionEmbedding


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """One call of one layer.

    Attributes:
        key: the layer's name; `outer/inner` inside nested models.
        kind: name of the layer's class.
        output_shape: tuple without the batch axis.
        params: of the layer; 0 for its calls after the first.
        weights: its convolution or linear weights; 0 after the first call.
        macs: multiply-accumulates of this call, for one example.
        counted: False where the layer has kernels that no rule knows, so that
            `weights` and `macs` leave it out.
    """

    key: str
    kind: str
    output_shape: tuple
    params: int
    weights: int
    macs: int
    counted: bool


@dataclasses.dataclass(frozen=True)
class Profile:
    """A model's costs, for one example.

    Attributes:
        params: every weight of the model, moving statistics included.
        trainable_params: those that an optimizer updates.
        layers: tuple of `LayerProfile`, in the order of the calls.
    """

    params: int
    trainable_params: int
    layers: tuple

    @property
    def weights(self):
        """Convolution and linear weights only: the RReLU paper's memory."""
        return sum(layer.weights for layer in self.layers)

    @property
    def macs(self):
        """Multiply-accumulates of convolution and linear layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self):
        """2 x `macs`: the RReLU paper's FLOPs."""
        return 2 * self.macs

    @property
    def uncounted(self):
        """Keys of layers with kernels that no counting rule knows."""
        return [layer.key for layer in self.layers if not layer.counted]

    def table(self):
        """The layers and the sums, as text."""
        table = Table("layer", "class", "output")
        for name in ("parameters", "weights", "MACs"):
            table.add_column(name, justify="right")
        for layer in self.layers:
            shape = " x ".join(map(str, layer.output_shape))
            numbers = (layer.params, layer.weights, layer.macs)
            cells = (f"{number:,}" if number else "" for number in numbers)
            table.add_row(layer.key, layer.kind, shape, *cells)
        table.add_section()
        sums = (self.params, self.weights, self.macs)
        table.add_row("sum", "", "", *(f"{number:,}" for number in sums))
        uncounted = ""
        if self.uncounted:
            names = ", ".join(self.uncounted)
            uncounted = f"No rule counts weights and MACs of: {names}.\n"
        return (
            f"{text.render(table)}\n"
            f"FLOPs: {self.flops:,} per example, 2 x MACs of convolution and "
            "linear layers; weights: theirs, without biases. "
            f"{self.trainable_params:,} parameters are trainable.\n{uncounted}"
        )

    def compare(self, after):
        """What each layer cost before and costs after, as text.

        Args:
            after: the `Profile` of a narrower model with the same names, for
                instance of what `rrelu_tf.strip` returned.

        Returns:
            A table of the layers that cost anything, parameters and MACs
            before => after; layers without a counterpart are marked; below,
            the sums and the gathers that are new.
        """
        sides = [profile.costs() for profile in (self, after)]
        table = Table("layer", "class")
        table.add_column("parameters", justify="right")
        table.add_column("MACs", justify="right")
        table.add_column("note")
        for key in sides[0] | sides[1]:
            old, new = (side.get(key) for side in sides)
            note = "" if old and new else "gone" if old else "new"
            kind, *_ = old or new
            costs = list(
                zip((old or _NOTHING)[1:], (new or _NOTHING)[1:], strict=True)
            )
            if note == "gone" or any(map(any, costs)):
                cells = [_change(*pair) for pair in costs]
                table.add_row(key, kind, *cells, note)
        table.add_section()
        sums = (self.params, after.params), (self.macs, after.macs)
        table.add_row("sum", "", *(_change(*pair, "%") for pair in sums), "")
        gathers = [
            f"{layer.key} ({layer.output_shape[-1]:,} channels)"
            for layer in after.layers
            if layer.kind == "ChannelGather" and layer.key not in sides[0]
        ]
        return (
            f"{text.render(table)}\nGathers: {', '.join(gathers) or 'none'}.\n"
        )

    def costs(self):
        """dict: key -> (class, parameters, MACs) of all calls together."""
        found = {}
        for layer in self.layers:
            _, params, work = found.get(layer.key, _NOTHING)
            costs = (params + layer.params, work + layer.macs)
            found[layer.key] = (layer.kind, *costs)
        return found


def profile(model):
    """Counts a model's parameters, weights and operations.

    MACs are those of convolutions (separable, depthwise, transposed and
    grouped ones too), `Dense` and `EinsumDense`, as in the RReLU paper's
    code; a layer that is called twice costs its MACs twice and its parameters
    once. Nested models are walked through.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        A `Profile`.

    Raises:
        UserError: for a subclassed model, or one whose input has an unknown
            size on an axis other than the batch.
    """
    found, seen = calls(model), set()
    return Profile(
        params=model.count_params(),
        trainable_params=_count(model.trainable_weights),
        layers=tuple(_layer(call, seen) for call in found),
    )


def _layer(call, seen):
    layer, made = call.layer, call.outputs[0]
    weights = getattr(layer, "weights", [])
    new = {id(weight) for weight in weights} - seen
    seen |= new
    kernels = macs.kernels(layer)
    known = kernels or isinstance(layer, _ADDED)
    return LayerProfile(
        key=call.key,
        kind=type(layer).__name__,
        output_shape=tuple(made[1:]),
        params=_count(weight for weight in weights if id(weight) in new),
        weights=_count(kernel for kernel in kernels if id(kernel) in new),
        macs=macs.macs(layer, call.inputs, made) if call.inputs else 0,
        counted=bool(known) or all(len(w.shape) < 2 for w in weights),
    )


# Weights of several axes that are looked up or added, or scale: no products.
_ADDED = (
    *(keras.layers.Embedding, PositionEmbedding, keras.layers.PReLU),
    *(keras.layers.LayerNormalization, keras.layers.Normalization),
)
_NOTHING = ("", 0, 0)


def _change(before, after, unit=""):
    """`before => after`, with the share that is left if `unit` is "%"."""
    if before == after == 0:
        return ""
    share = f" ({100 * after / before:.1f} %)" if unit and before else ""
    if before == after and not unit:
        return f"{before:,}"
    return f"{before:,} => {after:,}{share}"


def _count(weights):
    return sum(math.prod(weight.shape) for weight in weights)
