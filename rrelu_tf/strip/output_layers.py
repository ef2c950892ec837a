"""Layers whose channels are the model's outputs: none of them can go."""

import keras

from rrelu_tf.strip.graph import has_graph, trace

_SOFTMAX = (keras.activations.softmax, keras.activations.log_softmax)


def output_layers(model):
    """The layers that make a model's outputs.

    So does, in front of a softmax that ends the model, what makes its logits.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        Set of keys, `outer/inner` inside nested models, which are in it, too.
    """
    graph = trace(model)
    return _makers(graph, set(graph.outputs), "")


def _makers(graph, outputs, prefix):
    found = set()
    for node in reversed(graph.nodes):
        ends = [tensor in outputs for tensor in node.outputs]
        if not any(ends):
            continue
        key = prefix + node.key
        found.add(key)
        if _is_softmax(node.layer):
            outputs |= set(node.inputs)
        elif isinstance(node.layer, keras.Model) and has_graph(node.layer):
            inner = trace(node.layer)
            made = {
                tensor
                for tensor, end in zip(inner.outputs, ends, strict=True)
                if end
            }
            found |= _makers(inner, made, f"{key}/")
    return found


def _is_softmax(layer):
    if isinstance(layer, keras.layers.Activation):
        return layer.activation in _SOFTMAX
    return isinstance(layer, keras.layers.Softmax)
