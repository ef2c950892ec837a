"""What a rule answers, and the two rules that most layers share."""

import dataclasses
from typing import Any

import keras
import numpy as np

from rrelu_tf.strip.graph import Graph, Node, clone


def value(variable):
    """A Keras variable as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(variable))


@dataclasses.dataclass
class Call:
    """What is known about one node while its rule is asked.

    Attributes:
        graph: the graph that the node is part of.
        node: the node.
        zero: per input, bool (channels,): exactly 0 for every model input.
        alive: per output, bool (channels,): to be computed, which may be none
            in `needed`, and is one at the least in `twin`.
        have: per input, int (kept,): the source's channels that the rebuilt
            tensor holds; None for an input that is not read. Known to `twin`.
    """

    graph: Graph
    node: Node
    zero: list
    alive: list = None
    have: list = None

    @property
    def layer(self):
        """The node's layer."""
        return self.node.layer

    def shape_in(self, i=0):
        """Shape of input `i` in the source model."""
        return self.graph.tensors[self.node.inputs[i]].shape

    def shape_out(self, i=0):
        """Shape of output `i` in the source model."""
        return self.graph.tensors[self.node.outputs[i]].shape

    def same_dtypes(self):
        """Whether all inputs have the dtype of the one output."""
        tensors = [*self.node.inputs, *self.node.outputs]
        return len({self.graph.tensors[t].dtype for t in tensors}) == 1

    def kept_out(self):
        """The channels of the one output that stay, as ints (kept,)."""
        return np.flatnonzero(self.alive[0])


@dataclasses.dataclass
class Twin:
    """A node's narrower twin.

    Attributes:
        layer: the new, unbuilt layer; None passes the one input on.
        inputs: per input, the source's channels that the layer wants, as ints;
            None for an input that it does not read. -1 wants a zero channel.
        outputs: per output, the source's channels that it will hold.
            A channel that stands for none of them is -1.
        weights: attribute name -> value, once the layer is built.
        gather_name: what to call a gather that a reader needs from here.
    """

    layer: Any
    inputs: list
    outputs: list
    weights: dict = dataclasses.field(default_factory=dict)
    gather_name: str | None = None


class Rule:
    """The opaque rule: zero nothing, need everything, keep the layer whole.

    Correct for any layer; other rules answer the same three questions better.
    """

    def covers(self, call):
        """Whether the rule holds for this layer as it is configured."""
        return True

    def zero(self, call):
        """Per output, bool (channels,): exactly 0, given `call.zero`."""
        return [
            np.zeros(call.graph.channels(tensor), bool)
            for tensor in call.node.outputs
        ]

    def needed(self, call):
        """Per input, bool (channels,): needed, given `call.alive`.

        None for an input that is not read at all.
        """
        return [
            np.ones(call.graph.channels(tensor), bool)
            for tensor in call.node.inputs
        ]

    def twin(self, call):
        """The `Twin`, given `call.alive` and `call.have`."""
        whole = [
            [np.arange(call.graph.channels(tensor)) for tensor in tensors]
            for tensors in (call.node.inputs, call.node.outputs)
        ]
        return Twin(clone(call.layer), *whole)


class ChannelWise(Rule):
    """One input, one output; each channel depends on its own input alone."""

    def covers(self, call):
        """Not with a second input, such as a mask of time steps."""
        return len(call.node.inputs) == 1

    def dead(self, layer):
        """Whether output channels are 0 for any input; bool or (channels,)."""
        return False

    def silent(self, layer):
        """Whether 0 in gives 0 out; bool or (channels,)."""
        return True

    def weights(self, layer, kept):
        """attribute name -> value, for the `kept` channels."""
        return {}

    def zero(self, call):
        """Dead channels, and silent ones of a zero input."""
        dead, silent = self.dead(call.layer), self.silent(call.layer)
        return [(call.zero[0] & silent) | dead]

    def needed(self, call):
        """The same channels as of the output."""
        return [call.alive[0]]

    def twin(self, call):
        """The same layer over the output's channels."""
        kept = call.kept_out()
        weights = self.weights(call.layer, kept)
        return Twin(clone(call.layer), [kept], [kept], weights)
