"""PyTorch's names and axes of the weights of our layers.

A layer's PyTorch name is ours with dots for underscores. Where authors call a
layer otherwise, the architecture's file says so with `rename`.
"""

import dataclasses
import math
import re

import keras

from rrelu_tf.layers import Rotated

# Our variable's name -> PyTorch's, per kind of layer.
_KERNEL = {"kernel": "weight", "bias": "bias"}
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_SLOPE = {"slope": "a"}
_CONV = (2, 3, 1, 0)  # of PyTorch's axes, ours
_DEPTHWISE = (2, 3, 0, 1)
_LINEAR = (1, 0)
# (pattern, template) of authors' names, in the order of their declaration.
_RENAMED = []


@dataclasses.dataclass(frozen=True)
class Weight:
    """A variable, and how PyTorch has its array.

    Attributes:
        variable: the `keras.Variable`.
        axes: where our axes are in PyTorch's array; None if as ours.
    """

    variable: keras.Variable
    axes: tuple[int, ...] | None = None

    @property
    def shape(self):
        """PyTorch's shape."""
        shape = self._split
        if self.axes == _DEPTHWISE:
            return (math.prod(shape[:2]), 1, *shape[2:])
        return shape

    @property
    def _split(self):
        """PyTorch's axes; a depthwise conv's (channels, multiplier, h, w)."""
        ours = tuple(self.variable.shape)
        if self.axes is None:
            return ours
        return tuple(ours[self.axes.index(i)] for i in range(len(ours)))

    def assign(self, array):
        """Takes over an array of PyTorch's shape."""
        if self.axes is not None:
            array = array.reshape(self._split).transpose(self.axes)
        self.variable.assign(array)

    def array(self):
        """The values as an array of PyTorch's shape."""
        values = keras.ops.convert_to_numpy(self.variable)
        if self.axes is None:
            return values
        back = [self.axes.index(i) for i in range(values.ndim)]
        return values.transpose(back).reshape(self.shape)


def weights(model):
    """Dict of PyTorch name -> `Weight`, of the layers that have such names."""
    found = {}
    for layer in model.layers:
        names, axes = _layout(layer)
        for ours, theirs in names.items():
            variable = getattr(layer, ours)
            if variable is not None:
                name = f"{layer.name.replace('_', '.')}.{theirs}"
                kernel = ours == "kernel"
                found[name] = Weight(variable, axes if kernel else None)
    return found


def nameless(model):
    """The layers whose weights have no PyTorch name."""
    return [x for x in model.layers if x.weights and not _layout(x)[0]]


def rename(*pairs):
    """Declares names that authors have for weights of an architecture.

    Args:
        *pairs: regular expression of a whole name of theirs, and the template
            of the one that `weights` has.
    """
    _RENAMED.extend(pairs)


def ours(theirs, wanted):
    """The name under which `wanted` has a weight of the authors'.

    Args:
        theirs: the name in the file.
        wanted: the names that the model has.

    Returns:
        One of `wanted`; `theirs` if none of them fits.
    """
    if theirs in wanted:
        return theirs
    for pattern, template in _RENAMED:
        match = re.fullmatch(pattern, theirs)
        if match and match.expand(template) in wanted:
            return match.expand(template)
    return theirs


def _layout(layer):
    """Names of a layer's variables, and its kernel's axes."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return _NORM, None
    if isinstance(layer, Rotated):
        return _SLOPE, None
    if isinstance(layer, keras.layers.Conv2D):
        return _KERNEL, _CONV
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return _KERNEL, _DEPTHWISE
    if isinstance(layer, keras.layers.Dense):
        return _KERNEL, _LINEAR
    return {}, None
