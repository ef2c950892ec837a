"""Layers that a user vouches for: each element depends on its own alone."""

import keras
import numpy as np
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from rrelu_tf.errors import UserError
from rrelu_tf.strip import elements
from rrelu_tf.strip.cloning import clone
from rrelu_tf.strip.rules.base import Rule, Twin, value
from rrelu_tf.strip.rules.stand_ins import shape_giver, stand_ins
from rrelu_tf.strip.rules.table import enter, entered

_PROBES = 2.0 ** np.arange(-8, 8)


def register(layer_class, *, scale=None, **unknown):
    """Lets `strip` take channels out of and through a layer of your own.

    By registering you vouch that each element of the output depends on the
    elements of the inputs at the same place alone, and that each weight is
    laid along the last axes, as in `x * gamma`. `strip` takes your word; only
    `rrelu_tf.verify(masked, stripped)` tells if it does not hold. Constructor
    arguments that count the channels are found by trying. Usable as a
    decorator.

    Args:
        layer_class: subclass of `keras.layers.Layer` with a `get_config`, of
            one output as large as each of its inputs.
        scale: name of the weight whose zeros make an output 0 for any input;
            None finds it by trying the layer on many inputs.
        **unknown: none; other options are refused.

    Returns:
        `layer_class`.

    Raises:
        UserError: something else than a layer class, one of Keras's own or
            one that has a rule; an unknown option.
    """
    if unknown:
        raise UserError(
            "register takes one option, scale. "
            f"Received: {', '.join(f'{k}={v}' for k, v in unknown.items())}"
        )
    if not (scale is None or isinstance(scale, str)):
        raise UserError(
            f"scale must be the name of a weight. Received: scale={scale!r}"
        )
    if not registrable(layer_class):
        raise UserError(
            "Only a class of layers can be registered that is not Keras's own "
            "and has no rule in rrelu_tf. "
            f"Received: layer_class={layer_class!r}"
        )
    enter(Registered(scale), layer_class)
    return layer_class


def registrable(layer_class):
    """Whether `register` takes a class, or took it before."""
    if not (
        isinstance(layer_class, type)
        and issubclass(layer_class, keras.layers.Layer)
    ):
        return False
    rule = entered(layer_class)
    if rule is not None:
        return isinstance(rule, Registered)
    # Their rules are here, or nobody can vouch for them.
    public = getattr(keras.layers, layer_class.__name__, None)
    return public is not layer_class


class Registered(Rule):
    """A layer that `register` was told of."""

    aligned = True
    chained = True
    barrier = None

    def __init__(self, scale=None):
        self._scale = scale

    def covers(self, call):
        """Inputs as large as the one output, weights along the last axes."""
        shape = call.shape_out()
        weights = self._weights(call.layer)
        return (
            len(call.node.outputs) == 1
            and all(
                call.shape_in(i) == shape for i in range(len(call.node.inputs))
            )
            and len(weights) == len(call.layer.weights)
            and all(_suits(weight, shape) for weight in weights.values())
        )

    def axes(self, call, given):
        """Those of any input."""
        return [set().union(*given)]

    def tied(self, call, ties):
        """What meets is the same channel."""
        return [ties.join(call.constant)]

    def constant(self, call):
        """What the layer makes of known inputs; 0 where its scale is."""
        known = ~np.isnan(np.sum(np.broadcast_arrays(*call.constant), axis=0))
        made = np.where(known, 0.0, np.nan)
        if known.any():
            given = [np.nan_to_num(constant) for constant in call.constant]
            found = self._run(call, self._values(call.layer), given)
            made = np.where(known & np.isfinite(found), found, np.nan)
        for name, weight in self._values(call.layer).items():
            if (weight == 0).any() and self._silences(call, name):
                made = np.where(weight == 0, 0.0, made)
        return [made]

    def needed(self, call):
        """The same elements of every input that is to be there."""
        known = stand_ins(call, self._read(call))
        return [
            None if i in known else need
            for i, need in enumerate(self._read(call))
        ]

    def twin(self, call):
        """The same layer, its weights and counts cut."""
        layout = elements.hull(call.alive[0], call.shape_out())
        read = self._read(call)
        known = stand_ins(call, read)
        inputs = [
            known[i].narrowed(layout)
            if i in known
            else None
            if need is None
            else layout
            for i, need in enumerate(read)
        ]
        if None in inputs:
            return Twin(None, inputs, [layout])
        weights = {
            name: elements.take(weight, layout[len(layout) - weight.ndim :])
            for name, weight in self._values(call.layer).items()
        }
        return Twin(self._narrow(call, layout), inputs, [layout], weights)

    def _read(self, call):
        """The same elements of every input; where none, of one for its shape.

        None for the others.
        """
        giver = None if call.alive[0].any() else shape_giver(call)
        return [
            call.alive[0] if giver in (i, None) else None
            for i in range(len(call.node.inputs))
        ]

    def _narrow(self, call, layout):
        """The layer; arguments that equal the channels' count follow it."""
        width, kept = call.shape_out()[-1], layout[-1]
        if kept is None:
            return clone(call.layer)
        counts = {
            name: len(kept)
            for name, given in call.layer.get_config().items()
            if type(given) is int and given == width and call.layer.weights
        }
        return clone(call.layer, **counts)

    def _weights(self, layer):
        return {
            name: variable
            for name, variable in vars(layer).items()
            if isinstance(variable, keras.Variable)
        }

    def _values(self, layer):
        return {name: value(x) for name, x in self._weights(layer).items()}

    def _silences(self, call, name):
        """Whether zeros of a weight make zeros of any input."""
        if self._scale is not None:
            return name == self._scale
        generator = np.random.default_rng(0)
        weights = self._values(call.layer)
        for size in _PROBES:
            drawn = {
                key: size * generator.normal(size=weight.shape)
                for key, weight in weights.items()
            }
            drawn[name] = np.zeros_like(drawn[name])
            given = [
                generator.normal(size=self._shape(call)) * size
                for _ in call.node.inputs
            ]
            if np.any(self._run(call, drawn, given)):
                return False
        return True

    def _run(self, call, weights, given):
        """The layer on one example, in float64."""
        layer = clone(call.layer, dtype="float64")
        shape = self._shape(call)
        tensors = [
            keras.ops.convert_to_tensor(
                np.array(np.broadcast_to(x, shape))[None], "float64"
            )
            for x in given
        ]
        call.node.call(layer, tensors)  # builds it
        for name, variable in self._weights(layer).items():
            variable.assign(weights[name])
        (made,) = call.node.call(layer, tensors)
        return keras.ops.convert_to_numpy(made)[0]

    def _shape(self, call):
        """The example's: 1 along axes without weights."""
        shape = call.shape_out()
        ranks = [weight.ndim for weight in self._values(call.layer).values()]
        free = len(shape) - max(ranks, default=0)
        full = [
            max(sizes)
            for sizes in zip(*(x.shape for x in call.constant), strict=True)
        ]
        return (*full[:free], *shape[free:])


def _suits(weight, shape):
    """Whether a weight is laid along the last axes of the shape."""
    sizes = tuple(weight.shape)
    tail = shape[len(shape) - len(sizes) :]
    return len(sizes) <= len(shape) and all(
        size in (1, full) for size, full in zip(sizes, tail, strict=True)
    )


# Keras's own layers of this kind, in its ConvNeXt and Inception-ResNet.
register(LayerScale, scale="gamma")
register(CustomScaleLayer)
