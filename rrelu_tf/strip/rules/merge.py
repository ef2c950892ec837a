"""Layers that join several inputs channel by channel."""

import keras
import numpy as np

from rrelu_tf.strip.graph import clone
from rrelu_tf.strip.rules.base import Rule, Twin
from rrelu_tf.strip.rules.table import rule


@rule(keras.layers.Add)
class Add(Rule):
    """A sum: zero where all inputs are; an input of zeros is not read.

    A single input that is left passes on as it is: the Add is gone. Where the
    Add changes the dtype, all inputs are read, for it to stay.
    """

    def covers(self, call):
        """Nothing is broadcast: a dropped input might set a size."""
        shapes = [call.shape_in(i) for i in range(len(call.node.inputs))]
        return all(shape == call.shape_out() for shape in shapes)

    def zero(self, call):
        """Where all inputs are."""
        return [np.logical_and.reduce(call.zero)]

    def needed(self, call):
        """The same channels of every input, but for inputs without any."""
        read = [(call.alive[0] & ~zero).any() for zero in call.zero]
        if not call.same_dtypes():
            return [call.alive[0]] * len(read)
        if not any(read):  # only its shape is wanted
            read[0] = True
        return [call.alive[0] if is_read else None for is_read in read]

    def twin(self, call):
        """The sum of what is read, over the live channels."""
        kept = call.kept_out()
        inputs = [None if have is None else kept for have in call.have]
        single = sum(have is not None for have in inputs) == 1
        layer = None if single else clone(call.layer)
        return Twin(layer, inputs, [kept])
