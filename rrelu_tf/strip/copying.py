"""A model again, of the same layers and weights or of changed ones."""

import contextlib

import keras

from rrelu_tf.strip.cloning import clone, copy_weights
from rrelu_tf.strip.graph import deep, fresh_input, has_graph, trace, walk
from rrelu_tf.strip.stripped import Stripped


def copy(model, clone_layer=clone, hand_over=copy_weights):
    """A model of the same layers and weights that shares neither.

    Args:
        model: a functional or built Sequential `keras.Model`.
        clone_layer: function of a layer that returns its unbuilt copy, with
            the same weights in the same order unless `hand_over` is given.
        hand_over: function of a layer and its built copy that gives the copy
            its weights.

    Returns:
        The new model; of a stripped one, such a one. Compiled as the model is,
        if Keras can make its loss and metrics again from their configuration;
        models inside are not.
    """
    graph = trace(model)
    # Keras would give unnamed inputs new names.
    inputs = [fresh_input(graph, tensor) for tensor in graph.inputs]
    structure = graph.model.input
    with deep(2 * len(graph.nodes)), _uncompiled(model, graph):
        twin = keras.models.clone_model(
            model,
            input_tensors=keras.tree.pack_sequence_as(structure, inputs),
            clone_function=clone_layer,
            recursive=True,
        )
    copies = {key: node.layer for _, node, key in walk(trace(twin))}
    for _, node, key in walk(graph):
        if not has_graph(node.layer):
            hand_over(node.layer, copies[key])
        elif not node.layer.trainable:
            copies[key].trainable = False
    if not model.trainable:
        twin.trainable = False
    if isinstance(model, Stripped):
        twin.kept, twin.axes = model.kept, model.axes
        twin.widths = model.widths
    if model.compiled:
        _compile(twin, model)
    return twin


@contextlib.contextmanager
def _uncompiled(source, graph):
    """Lets Keras clone a compiled model whose loss only its user can make."""
    nested = [node.layer for _, node, _ in walk(graph)]
    compiled = [
        model
        for model in (source, *nested)
        if isinstance(model, keras.Model) and model.compiled
    ]
    for model in compiled:
        model.compiled = False
    try:
        yield
    finally:
        for model in compiled:
            model.compiled = True


def _compile(twin, model):
    try:
        twin.compile_from_config(model.get_compile_config())
    except (TypeError, ValueError):  # a loss that is not registered
        twin.compiled = False
