"""What ptflops would print for a net: the OrthoReg authors' FLOPs.

Its "flops" are multiply-accumulates of convolutions and linear layers, plus
one for each output element that has a bias, one for each that a rectifier
makes, two for each of a norm, and one for each input element of a pooling. The
number depends on its version and on how a net was written:

- 0.6.2, which the authors pin, sees modules alone: a ReLU or a pooling that is
  a call of a function (in their MobileNet and ResNets) costs nothing. Biases of
  linear layers are left out.
- 0.7.5 (its "pytorch" backend) sees functions, too, and those that a module
  calls: a ReLU module (in their VGG) costs twice. Additions that are written
  `out += shortcut` cost nothing in either.

Source: the packages' code.
"""

import math

import keras
from keras import layers

from rrelu_tf import seed_protocol
from rrelu_tf.analysis import macs
from rrelu_tf.analysis.calls import calls
from rrelu_tf.errors import UserError
from rrelu_tf.layers import RGELU, RReLU, RSiLU

VERSIONS = ("0.6.2", "0.7.5")


def ptflops(model, version="0.6.2", *, functional=None):
    """Counts a model's operations as a version of ptflops does.

    It agrees to the unit for the OrthoReg authors' four nets. A rotated
    activation counts as the plain one. Layers of other kinds than those of
    this file's rules count with their MACs alone.

    Args:
        model: a functional or built Sequential `keras.Model`.
        version: one of `VERSIONS`.
        functional: whether, in PyTorch, activations and poolings are calls of
            functions, not modules. None: as the authors wrote the net, which
            is known by the model's name; another's are modules.

    Returns:
        int, for one example.

    Raises:
        UserError: an unknown version; a subclassed model, or one whose input
            has an unknown size on an axis other than the batch.
    """
    if version not in VERSIONS:
        raise UserError(
            f"version must be one of {', '.join(VERSIONS)}. "
            f"Received: version={version}"
        )
    if functional is None:
        functional = _is_functional(model)
    return sum(_count(call, version, functional) for call in calls(model))


def _is_functional(model):
    try:
        return seed_protocol.family(model).functional
    except UserError:
        return False


def _count(call, version, functional):
    layer, made = call.layer, call.outputs[0]
    if not call.inputs:  # the images
        return 0
    work = macs.macs(layer, call.inputs, made)
    if getattr(layer, "use_bias", False) and work:
        linear = isinstance(layer, layers.Dense)
        work += 0 if linear and version == "0.6.2" else _size(made)
    name = _activation(layer)
    as_module = name in _MODULES[version] and not functional
    work += _size(made) * (as_module + (name in _FUNCTIONS[version]))
    if isinstance(layer, _POOLINGS):
        times = (not functional) + (version != "0.6.2")
        work += _size(call.inputs[0]) * times
    if isinstance(layer, _NORMS[version]):
        work += _size(made) * (2 if layer.scale or layer.center else 1)
    return work


def _activation(layer):
    """PyTorch's name of a layer's activation; None without one."""
    for kind, name in _KINDS.items():
        if isinstance(layer, kind):
            return name
    function = getattr(layer, "activation", None)
    return getattr(function, "__name__", None)


def _size(shape):
    return math.prod(shape[1:])


_KINDS = {
    (RReLU, layers.ReLU): "relu",
    (RGELU,): "gelu",
    (RSiLU,): "silu",
    (layers.LeakyReLU,): "leaky_relu",
    (layers.PReLU,): "prelu",
    (layers.ELU,): "elu",
}
_RECTIFIERS = {"relu", "relu6", "prelu", "elu"}
# Version -> activations that it counts as modules, and as functions.
_MODULES = {
    "0.6.2": _RECTIFIERS | {"leaky_relu"},
    "0.7.5": _RECTIFIERS | {"leaky_relu", "gelu"},
}
_FUNCTIONS = {"0.6.2": set(), "0.7.5": _RECTIFIERS | {"gelu", "silu"}}
_POOLINGS = tuple(
    getattr(keras.layers, f"{kind}Pooling{rank}D")
    for kind in ("Max", "Average", "GlobalMax", "GlobalAverage")
    for rank in (1, 2, 3)
)
_BATCH_NORM = (layers.BatchNormalization,)
_NORMS = {
    "0.6.2": _BATCH_NORM,
    "0.7.5": (
        *_BATCH_NORM,
        *(layers.LayerNormalization, layers.GroupNormalization),
    ),
}
