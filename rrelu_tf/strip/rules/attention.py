"""Attention: whole heads, the width of the values, inputs and outputs."""

import keras
import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.table import rule

_ROLES = ("query", "value", "key")


class Attention(Rule):
    """Heads are independent until their sum: a head that adds nothing goes.

    Value feature d of head h adds nothing where its value is always 0 or no
    live output reads it. Queries and keys keep their width: it scales the
    logits, and softmax mixes what they make.
    """

    barrier = None

    def covers(self, call):
        """Query, value and key, no masks from the graph, one output."""
        layer, node = call.layer, call.node
        named = list(node.arguments.kwargs.items())
        extra = [k for k, v in named if isinstance(v, keras.KerasTensor)]
        return (
            len(node.outputs) == 1
            and len(call.shape_out()) == len(call.shape_in())
            and not set(extra) - set(_ROLES)
            and len(node.arguments.args) <= len(_ROLES)
            and None not in node.arguments.args
            and not layer.get_config().get("use_gate")
            and layer.dtype_policy.quantization_mode is None
            and not isinstance(layer.get_config().get("output_shape"), tuple)
        )

    def constant(self, call):
        """The output's bias where no live value reaches."""
        output = call.layer._output_dense
        reaching = (value(output.kernel) != 0) & ~self._silent(call)[..., None]
        made = np.where(reaching.any(axis=(0, 1)), np.nan, _bias(output))
        return [elements.along(made, -1, len(call.shape_out()))]

    def needed(self, call):
        """Inputs that reach a head that is left, or one of its values."""
        live = self._live(call)
        heads, groups = live.any(axis=1), self._grouped(call, live)
        layer = call.layer
        reach = {
            "query": _any(layer._query_dense, heads[:, None]),
            "key": _any(layer._key_dense, groups.any(axis=1)[:, None]),
            "value": _any(layer._value_dense, groups),
        }
        names = self._names(call)
        if len(names) == 2:  # the values are the keys
            reach["value"] = reach["value"] | reach["key"]
        return [
            elements.along(reach[name], -1, len(call.shape_in(i)))
            for i, name in enumerate(names)
        ]

    def twin(self, call):
        """The kernels of the heads, values, inputs and outputs that stay."""
        live = self._live(call)
        heads, key_heads = self._kept_heads(call, live)
        wanted = self._inputs(call)
        rows = dict(zip(self._names(call), wanted, strict=True))
        rows.setdefault("key", rows["value"])
        columns = self._columns(call)
        values = self._values(call, live, key_heads)
        repeats = len(heads) // len(key_heads)
        read = np.repeat(values, repeats, axis=0)
        layer = call.layer
        output = value(layer._output_dense.kernel)
        weights = {
            **_cut(layer, "query", rows["query"], heads, None),
            **_cut(layer, "key", rows["key"], key_heads, None),
            **_cut(layer, "value", rows["value"], key_heads, values),
            "_output_dense.kernel": output[heads[:, None], read][..., columns],
        }
        if layer.use_bias:
            bias = value(layer._output_dense.bias)[columns]
            weights["_output_dense.bias"] = bias
        options = self._options(call, heads, key_heads, values, columns)
        return Twin(
            clone(layer, **options),
            [
                elements.only(-1, row, call.shape_in(i))
                for i, row in enumerate(wanted)
            ],
            [elements.only(-1, columns, call.shape_out())],
            weights,
        )

    def _names(self, call):
        """Which input each tensor is."""
        given = call.node.arguments
        # Keras flattens keyword arguments in the order of their names.
        named = [k for k in sorted(given.kwargs) if k in _ROLES]
        return [*_ROLES[: len(given.args)], *named][: len(call.node.inputs)]

    def _inputs(self, call):
        """Per input, ints: what is there, and known ones to be filled in."""
        wanted = []
        for i, need in enumerate(self.needed(call)):
            size = call.shape_in(i)[-1]
            filled = elements.vector(need & (call.constant[i] != 0), -1, size)
            have = elements.indices(call.have[i], -1, call.shape_in(i))
            held = elements.vector(~np.isnan(call.constant[i]), -1, size)
            extra = np.setdiff1d(np.flatnonzero(filled & held), have)
            wanted.append(np.concatenate([have, extra]))
        return wanted

    def _columns(self, call):
        width = call.shape_out()[-1]
        kept = np.flatnonzero(elements.vector(call.alive[0], -1, width))
        return kept if kept.size else np.array([0])

    def _silent(self, call):
        """bool (heads, values): always 0."""
        at = self._names(call).index("value")
        size = call.shape_in(at)[-1]
        zero = elements.common(call.constant[at], -1, size) == 0
        dense = call.layer._value_dense
        silent = ~(value(dense.kernel)[~zero] != 0).any(axis=0)
        silent &= np.broadcast_to(_bias(dense) == 0, silent.shape)
        return np.repeat(silent, self._repeats(call.layer), axis=0)

    def _live(self, call):
        """bool (heads, values): what reaches a live output."""
        columns = elements.vector(call.alive[0], -1, call.shape_out()[-1])
        kernel = value(call.layer._output_dense.kernel)
        read = (kernel[..., columns] != 0).any(axis=-1)
        return read & ~self._silent(call)

    def _grouped(self, call, live):
        """bool (key heads, values)."""
        repeats = self._repeats(call.layer)
        return live.reshape(-1, repeats, live.shape[-1]).any(axis=1)

    def _kept_heads(self, call, live):
        """ints: heads, as many for each key head; and key heads."""
        heads = live.any(axis=1).reshape(-1, self._repeats(call.layer))
        key_heads = np.flatnonzero(heads.any(axis=1))
        key_heads = key_heads if key_heads.size else np.array([0])
        heads = heads[key_heads]
        count = max(1, heads.sum(axis=1).max())
        # Of each key head the live ones, then others up to the same number.
        order = np.sort(np.argsort(~heads, axis=1, kind="stable")[:, :count])
        kept = key_heads[:, None] * self._repeats(call.layer) + order
        return kept.ravel(), key_heads

    def _values(self, call, live, key_heads):
        """ints (key heads, values): each head's own, equally many."""
        groups = self._grouped(call, live)[key_heads]
        count = max(1, groups.sum(axis=1).max())
        return np.sort(np.argsort(~groups, axis=1, kind="stable")[:, :count])


@rule(keras.layers.MultiHeadAttention)
class MultiHead(Attention):
    """`MultiHeadAttention`: heads and their value width."""

    def _repeats(self, layer):
        return 1

    def _options(self, call, heads, key_heads, values, columns):
        return {
            "num_heads": len(heads),
            "value_dim": values.shape[1],
            "output_shape": len(columns),
        }


@rule(keras.layers.GroupQueryAttention)
class GroupedQuery(Attention):
    """`GroupQueryAttention`: heads, equally many for each key head.

    Its outputs, queries and values have equally many features, and its values
    are as wide as its keys: those stay. Keys of their own get narrower.
    """

    widens = "its queries, values and outputs must be equally wide"

    def needed(self, call):
        """The whole inputs, for their width is the output's; not of keys."""
        return [
            need if name == "key" else elements.uniform(True, call.shape_in(i))
            for i, (name, need) in enumerate(
                zip(self._names(call), super().needed(call), strict=True)
            )
        ]

    def _inputs(self, call):
        return [
            rows if name == "key" else np.arange(call.shape_in(i)[-1])
            for i, (name, rows) in enumerate(
                zip(self._names(call), super()._inputs(call), strict=True)
            )
        ]

    def _columns(self, call):
        return np.arange(call.shape_out()[-1])

    def _values(self, call, live, key_heads):
        return np.tile(np.arange(call.layer.head_dim), (len(key_heads), 1))

    def _repeats(self, layer):
        return layer.num_query_heads // layer.num_key_value_heads

    def _options(self, call, heads, key_heads, values, columns):
        return {
            "num_query_heads": len(heads),
            "num_key_value_heads": len(key_heads),
        }


def _bias(dense):
    return 0.0 if dense.bias is None else value(dense.bias).astype("float64")


def _any(dense, outputs):
    """bool (inputs,): which reach any of the outputs, bool (heads, width)."""
    kernel = value(dense.kernel) != 0
    return (kernel & outputs).any(axis=(1, 2))


def _cut(layer, role, rows, heads, width):
    """Kernel and bias of one projection, by name."""
    dense = getattr(layer, f"_{role}_dense")
    if width is None:
        width = np.arange(dense.kernel.shape[-1])[None]
    at = (heads[:, None], width)
    weights = {f"_{role}_dense.kernel": value(dense.kernel)[rows][:, *at]}
    if dense.bias is not None:
        weights[f"_{role}_dense.bias"] = value(dense.bias)[at]
    return weights
