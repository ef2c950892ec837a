"""EinsumDense: a kernel over any axes, by its equation."""

import keras
import numpy as np

from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules.activations import activated, is_elementwise
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.table import rule


@rule(keras.layers.EinsumDense)
class Einsum(Rule):
    """`EinsumDense`, whose axes are the letters of its equation.

    Inputs that are known and not 0 are filled in, not folded: the equation
    may give them a position of their own.
    """

    barrier = None

    def covers(self, call):
        """The batch first, every letter once in an operand; no LoRA."""
        layer = call.layer
        given, kernel, made = self._letters(call)
        return (
            getattr(layer, "quantization_mode", None) is None
            and not getattr(layer, "lora_enabled", False)
            and len(call.node.inputs) == 1
            and is_elementwise(layer.activation)
            and given[0] == made[0]
            and given[0] not in kernel
            and all(len(set(x)) == len(x) for x in (given, kernel, made))
            and set(given[1:]) <= set(made) | set(kernel)
            and set(kernel) <= set(made) | set(given)
            and None not in self._sizes(call, given, call.shape_in())
            and None not in self._sizes(call, made, call.shape_out())
        )

    def axes(self, call, given):
        """Axes that the kernel makes."""
        _, kernel, made = self._letters(call)
        return [{at for at, x in enumerate(made[1:]) if x in kernel}]

    def constant(self, call):
        """f(bias) where no input that may differ from 0 reaches."""
        given, kernel, made = self._letters(call)
        inputs = self._spread(
            call, call.constant[0] != 0, given, call.shape_in()
        )
        reached = self._einsum(given, kernel, made, inputs, self._links(call))
        bias = np.zeros((1,) * reached.ndim)
        if call.layer.bias is not None:
            bias = bias + value(call.layer.bias).astype("float64")
        values = np.where(reached, np.nan, bias)
        return [activated(call.layer.activation, values)]

    def needed(self, call):
        """Inputs that reach a live output."""
        given, kernel, made = self._letters(call)
        alive = self._spread(call, call.alive[0], made, call.shape_out())
        return [self._einsum(made, kernel, given, alive, self._links(call))]

    def twin(self, call):
        """The kernel's axes cut to the inputs there are, the live outputs."""
        given, kernel, made = self._letters(call)
        outputs = elements.hull(call.alive[0], call.shape_out())
        by_letter = dict(zip(made[1:], outputs, strict=True))
        needed = self.needed(call)[0] & (call.constant[0] != 0)
        least = elements.hull(needed, call.shape_in())
        for axis, letter in enumerate(given[1:]):
            if letter not in made:
                by_letter[letter] = _union(call.have[0][axis], least[axis])
        inputs = tuple(by_letter[letter] for letter in given[1:])
        cut = tuple(by_letter[letter] for letter in kernel)
        weights = {"kernel": elements.take(value(call.layer.kernel), cut)}
        if call.layer.bias is not None:
            bias = value(call.layer.bias)
            weights["bias"] = elements.take(bias, outputs[-bias.ndim :])
        narrow = clone(call.layer, output_shape=self._output(call, outputs))
        return Twin(narrow, [inputs], [outputs], weights)

    def _output(self, call, layout):
        """The argument `output_shape`, as wide as the layout."""
        given = call.layer.get_config()["output_shape"]
        given = [given] if isinstance(given, int) else list(given)
        start = len(layout) - len(given)
        return tuple(
            size if layout[start + i] is None else len(layout[start + i])
            for i, size in enumerate(given)
        )

    def _letters(self, call):
        """Axes of the input, the kernel and the output, as strings."""
        operands, made = call.layer.equation.replace(" ", "").split("->")
        given, kernel = operands.split(",")
        rest = len(call.shape_in()) + 1 - len(given.replace("...", ""))
        free = [x for x in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if x not in operands]
        dots = "".join(free[:rest])
        return given.replace("...", dots), kernel, made.replace("...", dots)

    def _sizes(self, call, letters, shape):
        """Sizes of the axes that the kernel has, too."""
        kernel = self._letters(call)[1]
        return [
            size
            for letter, size in zip(letters[1:], shape, strict=True)
            if letter in kernel
        ]

    def _spread(self, call, array, letters, shape):
        """The array, full along the axes that the kernel has, too."""
        kernel = self._letters(call)[1]
        full = [
            size if letter in kernel else found
            for letter, size, found in zip(
                letters[1:], shape, array.shape, strict=True
            )
        ]
        return np.broadcast_to(array, full)

    def _links(self, call):
        return value(call.layer.kernel) != 0

    def _einsum(self, given, kernel, made, array, links):
        equation = f"{given[1:]},{kernel}->{made[1:]}"
        counts = np.einsum(
            equation,
            array.astype("float32"),
            links.astype("float32"),
            optimize=True,
        )
        return counts > 0


def _union(a, b):
    if a is None or b is None:
        return None
    return np.concatenate([a, np.setdiff1d(b, a)])
