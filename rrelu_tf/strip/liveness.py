"""Which channels are zero, which are needed, and so which stay."""

import dataclasses

import numpy as np

from rrelu_tf.strip.rules import Call, rule_of


@dataclasses.dataclass(frozen=True)
class Liveness:
    """What a graph's tensors need to hold.

    Attributes:
        zero: per tensor, bool (channels,): exactly 0 for every model input.
        live: per tensor, bool (channels,): an output depends on it. All of
            the model's outputs.
        alive: per tensor, bool (channels,): to be kept. The live ones; at
            least one of every tensor, all of the model's inputs.
        read: per tensor, bool: whether anything reads it at all.
        connected: whether any output depends on any input.
    """

    zero: list
    live: list
    alive: list
    read: list
    connected: bool


def analyse(graph):
    """Dead-channel analysis: zeros forwards, then needs backwards.

    Args:
        graph: a `strip.graph.Graph`.

    Returns:
        Its `Liveness`.
    """
    zero = _zeros(graph)
    needed = [np.zeros_like(channels) for channels in zero]
    read = [False] * len(zero)
    for tensor in graph.outputs:
        needed[tensor][:] = True
        read[tensor] = True
    live = [None] * len(zero)
    alive = [None] * len(zero)

    def settle(tensor):
        """No reader is left to come: needed and not zero, or one channel.

        That one channel is there for the shape: what it reads is not needed.
        """
        live[tensor] = needed[tensor].copy()
        if tensor not in graph.outputs:
            live[tensor] &= ~zero[tensor]
        alive[tensor] = live[tensor].copy()
        if tensor in graph.inputs:
            alive[tensor][:] = True
        elif not alive[tensor].any():
            alive[tensor][0] = True
        return live[tensor]

    for node in reversed(graph.nodes):
        if not any(read[tensor] for tensor in node.outputs):
            continue
        outputs = [settle(tensor) for tensor in node.outputs]
        inputs = [zero[tensor] for tensor in node.inputs]
        call = Call(graph, node, inputs, alive=outputs)
        for tensor, need in zip(
            node.inputs, rule_of(call).needed(call), strict=True
        ):
            if need is not None:
                read[tensor] = True
                needed[tensor] |= need
    connected = any(needed[tensor].any() for tensor in graph.inputs)
    for tensor in graph.inputs:
        read[tensor] = True
        settle(tensor)
    return Liveness(zero, live, alive, read, connected)


def _zeros(graph):
    zero = [None] * len(graph.tensors)
    for tensor in graph.inputs:
        zero[tensor] = np.zeros(graph.channels(tensor), bool)
    for node in graph.nodes:
        call = Call(graph, node, [zero[tensor] for tensor in node.inputs])
        for tensor, channels in zip(
            node.outputs, rule_of(call).zero(call), strict=True
        ):
            zero[tensor] = channels
    return zero
