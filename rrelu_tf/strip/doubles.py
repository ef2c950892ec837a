"""Float64 copies of models, where their layers allow it."""

import tensorflow as tf

from rrelu_tf.strip.cloning import clone, copy_weights, depthwise
from rrelu_tf.strip.graph import has_graph, trace


def double(graph):
    """A float64 copy of a graph's model; None where a layer refuses it."""
    copies, made = {}, []

    def visit(node, tensors):
        if id(node.layer) not in copies:
            copies[id(node.layer)] = _layer(graph, node)
        layer = copies[id(node.layer)]
        outputs = node.call(layer, tensors)
        # A nested model's copy has its weights, in an order of its own.
        if not has_graph(layer):
            copy_weights(node.layer, layer)
        made.extend(outputs)
        return outputs

    try:
        model = graph.rewrite(visit, lambda i: double_type(graph, i))
    except (TypeError, ValueError, tf.errors.OpError):
        return None
    return model if _is_double(model, [*model.inputs, *made]) else None


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
        shape = graph.shape(node.inputs[0]) if node.inputs else ()
        copy = clone(node.layer, dtype=wanted)
        return depthwise(copy, shape[-1] if shape else None)
    return clone(node.layer)


def _is_double(model, tensors):
    """Whether nothing inside a layer stayed in a narrower float type."""
    dtypes = {value.dtype for value in (*model.variables, *tensors)}
    return not dtypes & {"float32", "float16", "bfloat16"}
