"""Layers that move channels about: each output is one input, or 0."""

import math

import keras
import numpy as np

from rrelu_tf.layers import ChannelGather
from rrelu_tf.strip.graph import clone
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule


def positions(wanted, have):
    """Where each wanted channel stands in `have`; -1 where it does not.

    Args:
        wanted: ints (m,), source channels; -1 stays -1.
        have: ints (n,), source channels.

    Returns:
        ints (m,).
    """
    place = {channel: i for i, channel in enumerate(np.asarray(have).tolist())}
    return np.array(
        [place.get(channel, -1) for channel in np.asarray(wanted).tolist()], int
    )


@rule(ChannelGather)
class Gather(Rule):
    """`ChannelGather`: zero where the index is -1 or its channel zero."""

    def zero(self, call):
        """-1, or a zero channel."""
        indices = np.array(call.layer.indices)
        return [(indices < 0) | call.zero[0][indices]]

    def needed(self, call):
        """The channels that live outputs take."""
        indices = np.array(call.layer.indices)[call.alive[0]]
        needed = np.zeros(len(call.zero[0]), bool)
        needed[indices[indices >= 0]] = True
        return [needed]

    def twin(self, call):
        """New labels on the input's channels; a reader gathers from there.

        So a chain of gathers becomes one. A channel with two live outputs
        cannot carry both labels: then the gather stays, as does one that
        changes the dtype or makes an output of the model.
        """
        have, kept = call.have[0], call.kept_out()
        indices = positions(np.array(call.layer.indices)[kept], have)
        real = indices[indices >= 0]
        is_output = call.node.outputs[0] in call.graph.outputs
        twice = len(set(real.tolist())) < len(real)
        if twice or is_output or not call.same_dtypes():
            layer = clone(call.layer, indices=indices.tolist())
            return Twin(layer, [have], [kept])
        labels = np.full(len(have), -1)
        labels[real] = kept[indices >= 0]
        return Twin(None, [have], [labels], gather_name=call.node.key)


@rule(keras.layers.Flatten)
class Flatten(Rule):
    """Channel c of an input of C channels becomes c, c + C, c + 2C, ..."""

    def covers(self, call):
        """Known sizes only."""
        return None not in call.shape_in()[1:]

    def zero(self, call):
        """At every position of a zero channel."""
        return [np.tile(call.zero[0], self._places(call))]

    def needed(self, call):
        """Channels with a live output at any position."""
        alive = call.alive[0].reshape(self._places(call), -1)
        return [alive.any(axis=0)]

    def twin(self, call):
        """The same layer over what there is."""
        have, channels = call.have[0], len(call.zero[0])
        starts = np.arange(self._places(call)) * channels
        kept = (starts[:, None] + have).ravel()
        return Twin(clone(call.layer), [have], [kept])

    def _places(self, call):
        return math.prod(call.shape_in()[1:-1])
