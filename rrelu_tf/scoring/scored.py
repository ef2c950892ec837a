"""Which layers of a model have scores."""

import keras

from rrelu_tf.scoring.filters import has_filters
from rrelu_tf.strip.graph import has_graph, layers_of, trace
from rrelu_tf.strip.rules import passes_channels


def kernels(model):
    """The convolutions and dense layers, those inside nested models too.

    Without the output layer: those whose channels are the model's outputs, up
    to what follows them there without mixing channels, a norm or softmax say.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        dict in forward order: key, `outer/inner` in a nested model -> layer.
    """
    found = inner_layers(model, keras.layers.Layer)
    return {key: layer for key, layer in found.items() if has_filters(layer)}


def norms(model):
    """The batch normalisations with a scale, but for those of the outputs.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        dict in forward order: key, `outer/inner` in a nested model -> layer.
    """
    found = inner_layers(model, keras.layers.BatchNormalization)
    return {key: layer for key, layer in found.items() if layer.scale}


def inner_layers(model, kind):
    """The layers of a class whose channels are not the model's outputs.

    Args:
        model: a functional or built Sequential `keras.Model`.
        kind: what `isinstance` takes.

    Returns:
        dict in forward order: key, `outer/inner` in a nested model -> layer.
    """
    made, _ = _making_outputs(trace(model))
    return {
        key: layer
        for key, layer in layers_of(model, kind).items()
        if id(layer) not in made
    }


def _making_outputs(graph):
    """What has a graph's outputs for its channels.

    Returns:
        (ids of layers, whether the graph's own inputs are among it).
    """
    makers = {t: node for node in graph.nodes for t in node.outputs}
    layers, seen, waiting = set(), set(), list(graph.outputs)
    while waiting:
        tensor = waiting.pop()
        if tensor in seen or tensor not in makers:
            seen.add(tensor)
            continue
        seen.add(tensor)
        node = makers[tensor]
        layers.add(id(node.layer))
        passes = passes_channels(graph, node) or not _mixes(node.layer)
        if has_graph(node.layer):
            inner, passes = _making_outputs(trace(node.layer))
            layers |= inner
        if passes:
            waiting += node.inputs
    return layers, bool(seen & set(graph.inputs))


def _mixes(layer):
    """Whether a layer makes its channels of others, by weights."""
    return any(
        len(weight.shape) > 1 for weight in getattr(layer, "weights", [])
    )
