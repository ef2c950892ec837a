"""Float64 copies of models, where their layers allow it."""

import tensorflow as tf

from rrelu_tf.strip.graph import (
    clone,
    copy_weights,
    fresh_input,
    has_graph,
    trace,
)


def double(graph):
    """A float64 copy of a graph's model; None where a layer refuses it."""
    replaced = {
        tensor: fresh_input(graph, tensor, double_type(graph, tensor))
        for tensor in graph.inputs
    }
    inputs = list(replaced.values())
    layers = {}
    try:
        for node in graph.nodes:
            layer = layers.get(id(node.layer))
            if layer is None:
                layer = layers[id(node.layer)] = _layer(graph, node)
            tensors = [replaced[tensor] for tensor in node.inputs]
            replaced.update(
                zip(node.outputs, node.call(layer, tensors), strict=True)
            )
            # A nested model's copy has its weights, in an order of its own.
            if not has_graph(layer):
                copy_weights(node.layer, layer)
        outputs = [replaced[tensor] for tensor in graph.outputs]
        model = graph.assemble(inputs, outputs)
    except (TypeError, ValueError, tf.errors.OpError):
        return None
    return model if _is_double(model, replaced.values()) else None


def double_type(graph, tensor):
    """A tensor's dtype in the copy: float64 for any float."""
    dtype = graph.tensors[tensor].dtype
    return "float64" if dtype.startswith(("float", "bfloat")) else dtype


def _layer(graph, node):
    """An unbuilt float64 copy of a layer; ValueError if there is none."""
    if has_graph(node.layer):
        inner = double(trace(node.layer))
        if inner is None:
            raise ValueError(f"{node.key} does not compute in float64.")
        return inner
    wanted = double_type(graph, node.outputs[0])
    if wanted == "float64" and "dtype" in node.layer.get_config():
        return clone(node.layer, dtype=wanted)
    return clone(node.layer)


def _is_double(model, tensors):
    """Whether nothing inside a layer stayed in a narrower float type."""
    dtypes = {value.dtype for value in (*model.variables, *tensors)}
    return not dtypes & {"float32", "float16", "bfloat16"}
