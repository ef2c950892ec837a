"""What a rule answers, and the rules that most layers share."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.graph import Graph, Node


def value(variable):
    """A Keras variable as a NumPy array, for reading: a view where possible.

    A large kernel is looked at often; each copy would cost its memory.
    """
    held = variable.value if hasattr(variable, "value") else variable
    tensor = tf.convert_to_tensor(held)
    try:
        return np.asarray(memoryview(tensor))
    except (TypeError, ValueError, BufferError):  # bfloat16, for one
        return np.asarray(keras.ops.convert_to_numpy(tensor))


@dataclasses.dataclass
class Call:
    """What is known about one node while its rule is asked.

    Attributes:
        graph: the graph that the node is part of.
        node: the node.
        constant: per input, float array as `strip.elements` describes them:
            the value that an element has for every model input, or NaN.
        alive: per output, bool array: which elements are to be computed.
            There may be none; a twin computes one at the least.
        held: per input, the layout of the rebuilt tensor; None for an input
            that is not read. Known to `twin`.
        have: the same without what no reader knows (-1), but never empty.
    """

    graph: Graph
    node: Node
    constant: list
    alive: list = None
    held: list = None
    have: list = None

    @property
    def layer(self):
        """The node's layer."""
        return self.node.layer

    def shape_in(self, i=0):
        """Shape of input `i` in the source model, without the batch."""
        return self.graph.shape(self.node.inputs[i])

    def shape_out(self, i=0):
        """Shape of output `i` in the source model, without the batch."""
        return self.graph.shape(self.node.outputs[i])

    def once(self, name, learn):
        """What `learn()` finds out about the node, asked only once."""
        at = (id(self.node), name)
        if at not in self.graph.learned:
            self.graph.learned[at] = learn()
        return self.graph.learned[at]

    def same_dtypes(self):
        """Whether all inputs have the dtype of the one output."""
        tensors = [*self.node.inputs, *self.node.outputs]
        return len({self.graph.tensors[t].dtype for t in tensors}) == 1


@dataclasses.dataclass
class Twin:
    """A node's narrower twin.

    Attributes:
        layer: the new, unbuilt layer; None passes the first input that is read
            on as every output.
        inputs: per input, the layout that the layer wants, or the `StandIn`
            that it is given; None for an input that it does not read. An index
            -1 takes anything.
        outputs: per output, the layout that it will hold.
        weights: attribute name, dotted inside sub-layers, -> value, once the
            layer is built; None for a layer that has its weights.
        constants: position among the node's constant arguments -> new array.
        kept: of a nested model, name of a layer -> `alignment.Kept`.
        gather_name: what to call a gather that a reader needs from here.
        order: numbers of the inputs in the order of the call; None for theirs.
    """

    layer: Any
    inputs: list
    outputs: list
    weights: dict = dataclasses.field(default_factory=dict)
    constants: dict = dataclasses.field(default_factory=dict)
    kept: dict = dataclasses.field(default_factory=dict)
    gather_name: str | None = None
    order: list | None = None


class Rule:
    """The opaque rule: know nothing, need everything, keep the layer whole.

    Correct for any layer; other rules answer the same three questions better.

    Attributes:
        aligned: whether input and output indices are the same ones, so that
            `align="couple"` ties them.
        chained: whether a masked channel stays 0 through the layer.
        barrier: why every input is needed, for `explain`; None where a rule
            lets channels go.
        widens: why it may need more inputs than any live output does, for
            `explain`; None where it does not.
    """

    aligned = False
    chained = False
    barrier = "no rule knows this layer"
    widens = None

    def covers(self, call):
        """Whether the rule holds for this layer as it is configured."""
        return True

    def otherwise(self, call):
        """The rule where this one does not cover a layer; None: opaque."""

    def barring(self, call):
        """Why this very call needs every channel; None where some may go."""
        return (
            "called with training=True" if call.node.training else self.barrier
        )

    def axes(self, call, given):
        """Per output, the axes that may get narrower; `given` per input."""
        axis = channel_axis(call.layer)
        ranks = [len(call.shape_out(i)) for i in _each(call.node.outputs)]
        return [{axis % rank} if rank else set() for rank in ranks]

    def inside(self, call):
        """The `Graph` of a nested model, None for any other layer."""

    def tied(self, call, ties):
        """Per output, its channels' numbers in `ties`; None for new ones.

        `call.constant` holds those of the inputs (`strip.coupling`).
        """
        return [None] * len(call.node.outputs)

    def constant(self, call):
        """Per output, float array: the elements that are known, else NaN."""
        return [
            elements.uniform(np.nan, call.shape_out(i))
            for i in range(len(call.node.outputs))
        ]

    def needed(self, call):
        """Per input, bool array: needed, given `call.alive`.

        None for an input that is not read at all.
        """
        return [
            elements.uniform(True, call.shape_in(i))
            for i in range(len(call.node.inputs))
        ]

    def twin(self, call):
        """The `Twin`, given `call.alive` and `call.have`."""
        inputs = [elements.whole(call.shape_in(i)) for i in _each(call.have)]
        outputs = [elements.whole(call.shape_out(i)) for i in _each(call.alive)]
        return Twin(clone(call.layer), inputs, outputs)


def _each(items):
    return range(len(items))


class Elementwise(Rule):
    """One input, one output; each element depends on its own input alone."""

    aligned = True
    chained = True
    barrier = None

    def covers(self, call):
        """Not with a second input, such as a mask of time steps."""
        return (
            len(call.node.inputs) == 1 and call.shape_in() == call.shape_out()
        )

    def axes(self, call, given):
        """Those of the input."""
        return given

    def tied(self, call, ties):
        """The same channels."""
        return [call.constant[0]]

    def dead(self, call):
        """bool array, or False: 0 whatever the input is."""
        return False

    def map(self, call, values):
        """The outputs for known inputs; float array, NaN for "not known"."""
        return values

    def weights(self, call, layout):
        """attribute name -> value, for the elements that stay."""
        return {}

    def narrow(self, call, layout):
        """The unbuilt layer for the elements that stay."""
        return clone(call.layer)

    def constant(self, call):
        """What the known inputs become, and dead elements."""
        values = call.constant[0]
        known = ~np.isnan(values)
        if known.any():
            found = self.map(call, np.where(known, values, 0.0))
            values = np.where(known & np.isfinite(found), found, np.nan)
        dead = self.dead(call)
        return [values if dead is False else np.where(dead, 0.0, values)]

    def needed(self, call):
        """The same elements as of the output."""
        return [call.alive[0]]

    def twin(self, call):
        """The same layer over the output's elements."""
        layout = elements.hull(call.alive[0], call.shape_out())
        return Twin(
            self.narrow(call, layout),
            [layout],
            [layout],
            self.weights(call, layout),
        )


class ChannelWise(Rule):
    """Each output channel depends on all positions of one input channel."""

    aligned = True
    chained = True
    barrier = None

    def covers(self, call):
        """Known channels, and no second input, such as a mask of steps."""
        return (
            len(call.node.inputs) == 1
            and call.shape_in()[channel_axis(call.layer)] is not None
        )

    def tied(self, call, ties):
        """The same channels."""
        numbers = self._channels(call, elements.common, call.constant[0])
        numbers = np.nan_to_num(numbers)
        return [self._spread(call, numbers, call.shape_out())]

    def map(self, call, values):
        """The output channels' values for known input channels (channels,)."""
        return values

    def constant(self, call):
        """Channels that are the same everywhere, and known."""
        values = self._channels(call, elements.common, call.constant[0])
        return [self._spread(call, self.map(call, values), call.shape_out())]

    def needed(self, call):
        """The same channels as of the output."""
        alive = self._kept(call)
        return [self._spread(call, alive, call.shape_in())]

    def twin(self, call):
        """The same layer over the output's channels."""
        kept = np.flatnonzero(self._kept(call))
        kept = kept if kept.size else np.array([0])
        axis = channel_axis(call.layer)
        return Twin(
            clone(call.layer),
            [elements.only(axis, kept, call.shape_in())],
            [elements.only(axis, kept, call.shape_out())],
        )

    def _channels(self, call, reduce, array):
        axis = channel_axis(call.layer)
        return reduce(array, axis, call.shape_in()[axis])

    def _kept(self, call):
        return self._channels(call, elements.vector, call.alive[0])

    def _spread(self, call, channels, shape):
        return elements.along(channels, channel_axis(call.layer), len(shape))


def channel_axis(layer):
    """The channels' axis, not counting the batch: 0 or -1."""
    given = getattr(layer, "data_format", "channels_last")
    given = given or keras.config.image_data_format()
    return 0 if given == "channels_first" else -1
