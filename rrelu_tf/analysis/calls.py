"""Every call of every layer of a model, with the shapes that it works on."""

import dataclasses
from typing import Any

from rrelu_tf.strip import graph


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of one layer.

    Attributes:
        key: the layer's name; `outer/inner` inside nested models.
        layer: the Keras layer or operation.
        inputs: tuples, shapes of what it reads, with the batch axis.
        outputs: tuples, shapes of what it makes.
        readers: list of the calls that read what it makes, None for what
            leaves the model, or a model that is nested in it.
    """

    key: str
    layer: Any
    inputs: tuple
    outputs: tuple
    readers: list = dataclasses.field(repr=False)


def calls(model):
    """The calls in forward order; nested models are walked through.

    Args:
        model: a functional or built Sequential `keras.Model`.

    Returns:
        List of `Call`.

    Raises:
        UserError: for a subclassed model.
    """
    traced = graph.trace(model)
    inputs = [traced.tensors[number] for number in traced.inputs]
    found, _ = _walk(traced, inputs, prefix="")
    return found


def _walk(traced, inputs, prefix):
    """(calls, output tensors) of a graph called on `inputs`."""
    tensors = dict(zip(traced.inputs, inputs, strict=True))
    makers = {}
    # A nested model may be called on other sizes than it was made with.
    resized = any(
        tensors[number].shape != traced.tensors[number].shape
        for number in traced.inputs
    )
    found = []
    for node in traced.nodes:
        read = [tensors[number] for number in node.inputs]
        key = prefix + node.key
        call = None
        if graph.has_graph(node.layer):
            inner = graph.trace(node.layer)
            more, made = _walk(inner, read, f"{key}/")
            found += more
        else:
            made = [traced.tensors[number] for number in node.outputs]
            if resized:
                made = node.call(node.layer.compute_output_spec, read)
            shapes = (tuple(t.shape for t in side) for side in (read, made))
            call = Call(key, node.layer, *shapes, readers=[])
            found.append(call)
            makers.update(dict.fromkeys(node.outputs, call))
        for number in node.inputs:
            if number in makers:
                makers[number].readers.append(call)
        tensors.update(zip(node.outputs, made, strict=True))
    for number in traced.outputs:
        if number in makers:
            makers[number].readers.append(None)
    return found, [tensors[number] for number in traced.outputs]
