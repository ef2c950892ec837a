"""Fewer operations, all of them stock: `rrelu_tf.fold(model)`."""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from rrelu_tf.layers import (
    BatchNormalization,
    ChannelGather,
    ClassToken,
    PositionEmbedding,
    Rotated,
)
from rrelu_tf.layers.channel_gather import as_product
from rrelu_tf.orthogonalization import is_orthogonalized, orthogonalize
from rrelu_tf.strip import cpu_cost, elements
from rrelu_tf.strip.cloning import PLAIN, clone, copy_weights, depthwise
from rrelu_tf.strip.graph import Node, has_graph, trace, walk
from rrelu_tf.strip.liveness import analyse
from rrelu_tf.strip.rebuild import rebuild
from rrelu_tf.strip.rules import Call, rule_of
from rrelu_tf.strip.rules.base import value
from rrelu_tf.strip.rules.linear import Linear

_NORMS = (layers.BatchNormalization, BatchNormalization)
# Layers that a positive or negative scale of a channel passes unchanged.
_SCALED_ALIKE = (
    *(layers.AveragePooling1D, layers.AveragePooling2D),
    *(layers.AveragePooling3D, layers.GlobalAveragePooling1D),
    *(layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
    *(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D),
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D),
)


def fold(model):
    """The same function for inference, in fewer operations, all stock Keras.

    Known numbers go into biases, a batch normalisation into the convolution
    or dense layer before it, slopes into the kernels that read them; what
    has no such neighbour becomes stock layers: `BatchNormalization`, `ReLU`
    or `Activation` and `Rescaling`. A gather of neighbours becomes a slice
    and zeros; one of others, of up to 256 channels, a kernel of zeros and
    ones, cheaper on a CPU than the `keras.ops.take` of wider ones, and exact
    there: fold what GPUs serve, and may round to TensorFloat-32, on a GPU. A
    convolution of one channel a group becomes a depthwise one. A saved model
    opens without this package. Layers that stay keep their names.

    Weights are rounded to their dtype once more: compare with
    `rrelu_tf.verify(model, folded, tolerance=1e-5)`. Training on is possible,
    but normalisations that went into kernels no longer learn, and `OrthoReg`
    penalties are gone.

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is;
            dead channels go as in `rrelu_tf.strip(model, align="auto")`, so
            that what was coupled needs no gather now.

    Returns:
        A new functional `keras.Model` of the same inputs and outputs.

    Raises:
        UserError: as `rrelu_tf.strip` does.
    """
    if is_orthogonalized(model):
        model = orthogonalize(model, 0)
    small = _narrower(model)
    if _gathers(small) > _gathers(model):
        coupled = _narrower(model, couple=True)
        small = min(small, coupled, key=cpu_cost.nanoseconds)
    return _frozen_as(model, _stock(trace(small)))


def _narrower(model, couple=False):
    """The model without dead channels, known numbers in biases."""
    graph = trace(model, fold=True, couple=couple)
    inputs = [elements.whole(graph.shape(tensor)) for tensor in graph.inputs]
    return rebuild(graph, analyse(graph), inputs, whole=True)[0]


def _gathers(model):
    return sum(
        isinstance(node.layer, ChannelGather)
        for _, node, _ in walk(trace(model))
    )


@dataclasses.dataclass
class _Plan:
    """What becomes of the nodes of a graph.

    Attributes:
        rows: id of a linear node -> factors of its inputs (channels,).
        columns: id of a linear node -> (factors, offsets) of its outputs.
        dropped: ids of the norms that went into a kernel.
        plain: ids of the rotated activations whose slopes did.
    """

    rows: dict = dataclasses.field(default_factory=dict)
    columns: dict = dataclasses.field(default_factory=dict)
    dropped: set = dataclasses.field(default_factory=set)
    plain: set = dataclasses.field(default_factory=set)


def _stock(graph):
    """The graph with stock layers only."""
    plan, copies = _plan(graph), {}

    def visit(node, given):
        if id(node) in plan.dropped:
            return given
        stock = _STOCK.get(type(node.layer))
        if stock is not None:
            return [stock(node.layer, given[0])]
        if _is_rotated(node.layer):
            return [_rotated(node.layer, given[0], id(node) in plan.plain)]
        return _called(graph, node, given, plan, copies)

    return graph.rewrite(visit)


def _frozen_as(source, model):
    if not source.trainable:
        model.trainable = False
    return model


def _plan(graph):
    plan, readers = _Plan(), graph.consumers()
    for node in graph.nodes:
        tensor = node.outputs[0]
        if isinstance(node.layer, Rotated) and not node.shared:
            linear = _absorbing(graph, tensor, readers)
            if linear is not None and not set(linear) & set(plan.rows):
                slope = value(node.layer.slope).astype("float64")
                plan.rows.update(dict.fromkeys(linear, slope))
                plan.plain.add(id(node))
        alone = len(readers[tensor]) == 1 and tensor not in graph.outputs
        if _is_linear(graph, node) and alone:
            reader = readers[tensor][0]
            activation = node.layer.activation
            plain = activation is keras.activations.linear
            if plain and _is_norm(reader) and _same_dtype(node, reader):
                plan.columns[id(node)] = _affine(reader.layer)
                plan.dropped.add(id(reader))
    return plan


def _absorbing(graph, tensor, readers):
    """ids of the linear nodes that alone read a tensor; None if others do."""
    if tensor in graph.outputs:
        return None
    found = []
    for reader in readers[tensor]:
        if _is_linear(graph, reader):
            found.append(id(reader))
        elif _is_scaled_alike(reader.layer):
            behind = _absorbing(graph, reader.outputs[0], readers)
            if behind is None:
                return None
            found += behind
        else:
            return None
    return found


def _is_scaled_alike(layer):
    first = getattr(layer, "data_format", None) == "channels_first"
    return isinstance(layer, _SCALED_ALIKE) and not first


def _is_linear(graph, node: Node):
    rule = rule_of(Call(graph, node, None))
    last = getattr(node.layer, "data_format", None) != "channels_first"
    return isinstance(rule, Linear) and last and not node.shared


def _is_norm(node):
    layer = node.layer
    rank = len(layer.input.shape) if type(layer) in _NORMS else 0
    return bool(rank) and not node.shared and layer.axis in (-1, rank - 1)


def _same_dtype(node, reader):
    """Whether two layers compute in the same dtype, so that one can do."""
    return node.layer.compute_dtype == reader.layer.compute_dtype


def _affine(norm):
    """(factors, offsets) of a batch normalisation at inference."""
    variance = value(norm.moving_variance).astype("float64")
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * value(norm.gamma).astype("float64")
    offset = -factor * value(norm.moving_mean).astype("float64")
    if norm.center:
        offset = offset + value(norm.beta).astype("float64")
    return factor, offset


def _called(graph, node, given, plan, copies):
    """A layer's copy, with what goes into its kernel, called."""
    copy = copies.get(id(node.layer))
    if copy is None:
        copy, weights = _copied(graph, node, plan)
        if given and given[0].shape:
            copy = depthwise(copy, given[0].shape[-1])
        copies[id(node.layer)] = copy
        outputs = node.call(copy, given)
        if weights is not None:
            for name, array in weights.items():
                variable = getattr(copy, name)
                variable.assign(array.reshape(variable.shape))
        elif isinstance(copy, layers.Layer) and not has_graph(copy):
            copy_weights(node.layer, copy)
        return outputs
    return node.call(copy, given)


def _copied(graph, node, plan):
    """(the unbuilt stock layer, its weights by name if they change)."""
    layer = node.layer
    if isinstance(layer, keras.Model) and has_graph(layer):
        return _frozen_as(layer, _stock(trace(layer))), None
    kind = PLAIN.get(type(layer))
    if isinstance(layer, BatchNormalization):
        return clone(layer, kind, synchronized=False), None
    if not {id(node)} & {*plan.rows, *plan.columns}:
        return clone(layer, kind), None
    rule = rule_of(Call(graph, node, None))
    kernel = rule.kernel(layer).astype("float64")
    _, groups, fan_in, fan_out = kernel.shape
    rows = plan.rows.get(id(node), np.ones(groups * fan_in))
    none = np.ones(groups * fan_out), np.zeros(groups * fan_out)
    factor, offset = plan.columns.get(id(node), none)
    kernel = kernel * rows.reshape(groups, fan_in, 1)
    kernel = kernel * factor.reshape(groups, 1, fan_out)
    options, kernel = rule.narrow(layer, kernel)
    bias = factor * rule.bias(layer) + offset
    use_bias = layer.use_bias or bool(np.any(bias))
    weights = {"kernel": kernel, **({"bias": bias} if use_bias else {})}
    return clone(layer, kind, use_bias=use_bias, **options), weights


def _is_rotated(layer):
    if isinstance(layer, layers.TimeDistributed):
        return isinstance(layer.layer, Rotated)
    return isinstance(layer, Rotated)


def _rotated(layer, tensor, plain):
    """The activation, and its slopes unless a kernel has them."""
    name, dtype = layer.name, layer.dtype_policy
    if isinstance(layer, layers.TimeDistributed):  # slopes know no time
        layer = layer.layer
    function = {"RReLU": "relu", "RGELU": "gelu", "RSiLU": "silu"}
    known = function.get(type(layer).__name__)
    if known is None:  # a user's own: it stays
        copy = clone(layer)
        made = copy(tensor)
        copy_weights(layer, copy)
        return made
    made = layers.Activation(known, name=name, dtype=dtype)(tensor)
    if plain:
        return made
    # As an array: Keras would round a list of numbers to float32.
    scale = np.array(value(layer.slope))
    return layers.Rescaling(scale, name=f"{name}_slope", dtype=dtype)(made)


def _gathered(layer, tensor):
    """A gather as stock operations."""
    if "float" in tensor.dtype and tensor.dtype != layer.compute_dtype:
        tensor = ops.cast(tensor, layer.compute_dtype)  # as the layer does
    indices = np.array(layer.indices)
    axis = layer.axis % len(tensor.shape)
    last = axis == len(tensor.shape) - 1
    there = indices >= 0
    fill = np.where(there, 0.0, layer.fill).astype(tensor.dtype)
    shape = [1] * len(tensor.shape)
    shape[axis] = len(indices)
    if there.any() and layer.way(tensor.shape) == "slice":
        made = _cut(tensor, indices, axis)
    elif last and as_product(tensor):
        return _picked(layer, tensor, fill)
    else:
        made = ops.take(tensor, np.maximum(indices, 0).tolist(), axis=axis)
        if not there.all():
            made = ops.multiply(made, there.astype(tensor.dtype).reshape(shape))
    if fill.any():
        # Not ops.add, which takes what looks like a bias along the last axis.
        made = ops.subtract(made, -fill.reshape(shape))
    # For the name: the outputs of a model are called after it.
    name, dtype = layer.name, layer.dtype_policy
    return layers.Activation("linear", name=name, dtype=dtype)(made)


def _cut(tensor, indices, axis):
    """A gather of neighbours as a slice, with zeros before and behind it."""
    real = np.flatnonzero(indices >= 0)
    first, start, count = int(real[0]), int(indices[real[0]]), len(real)
    if count < tensor.shape[axis]:
        tensor = tensor[(*[slice(None)] * axis, slice(start, start + count))]
    pads = [(0, 0)] * len(tensor.shape)
    pads[axis] = first, len(indices) - count - first
    return ops.pad(tensor, pads) if any(pads[axis]) else tensor


def _picked(layer, tensor, fill):
    """A gather as a layer whose kernel is of zeros and ones: a pixel's conv."""
    indices, name = np.array(layer.indices), layer.name
    options = {
        "use_bias": bool(fill.any()),
        "name": name,
        "dtype": layer.dtype_policy,
        "trainable": False,
    }
    image = len(tensor.shape) == 4
    stock = (
        layers.Conv2D(len(indices), 1, data_format="channels_last", **options)
        if image
        else layers.Dense(len(indices), **options)
    )
    made = stock(tensor)
    kernel = indices == np.arange(tensor.shape[-1])[:, None]
    stock.kernel.assign(kernel.reshape(stock.kernel.shape))
    if stock.use_bias:
        stock.bias.assign(fill)
    return made


def _with_positions(layer, tensor):
    """A position embedding as an operation."""
    # Not ops.add, which takes what looks like a bias along the last axis.
    return ops.subtract(tensor, -_array(layer.positions, tensor)[None])


def _with_token(layer, tensor):
    """A class token as operations."""
    place = ops.zeros_like(tensor[:, :1])
    token = ops.subtract(place, -_array(layer.token, tensor)[None, None])
    return layers.Concatenate(1, name=layer.name)([token, tensor])


def _array(variable, tensor):
    return value(variable).astype(tensor.dtype)


# This package's layers -> function of a layer and the tensor that it reads.
_STOCK = {
    ChannelGather: _gathered,
    ClassToken: _with_token,
    PositionEmbedding: _with_positions,
}
