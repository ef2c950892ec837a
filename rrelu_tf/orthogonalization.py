"""orthogonalize: OrthoReg on the filters of a whole model."""

import math

import keras

from rrelu_tf import filters, seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.layers import AUGMENTED
from rrelu_tf.layers.augmented import Augmented
from rrelu_tf.regularizers import OrthoReg, not_negative
from rrelu_tf.strip import keras_2
from rrelu_tf.strip.cloning import PLAIN, clone
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import layers_of

_STOCK = {a: stock for stock, a in AUGMENTED.items() if stock not in PLAIN}
_OURS = {a: ours for ours, a in AUGMENTED.items() if ours in PLAIN}


def orthogonalize(
    model,
    factor=None,
    *,
    norm="l1",
    bias=False,
    dense=False,
    protocol=None,
):
    """A model whose loss draws the filters of each layer to orthonormality.

    Each kernel of a convolution (grouped, transposed, depthwise and separable
    ones too) gets an `OrthoReg` on the smaller side of its Gram matrix. The
    layers' weights are `sqrt(filters)`, divided by their sum over the model.
    A regulariser that was there is kept beside it; an OrthoReg is replaced.

    Penalties are saved with the model, and `rrelu_tf.strip` keeps them, with
    factors and weights as they are: call this again for those of the narrower
    layers. Norms are not regularised, nor are layers inside wrappers.

    Source: arXiv 2009.05014 and its authors' code.

    Args:
        model: a functional or built Sequential `keras.Model`, left as it is.
        factor: at least 0; 0 takes every OrthoReg off. None: 1e-2, or the
            authors' own for the net.
        norm: "l1", the authors'; "frobenius" or "spectral".
        bias: whether a bias is one more entry of its filter. Such layers
            become `rrelu_tf.layers.AugmentedConv2D` and the like; there are
            none for transposed and separable convolutions, whose biases stay
            free.
        dense: whether dense layers are regularised as well. The authors leave
            them out.
        protocol: None, or "seed": the side, the weight and the bias of each
            layer as the authors' code has them for their nets, which it knows
            by the model's name; their mistakes are listed in
            `rrelu_tf.seed_protocol`. It decides `norm`, `bias` and `dense`.

    Returns:
        A new model of the same layer names and weights, not compiled.

    Raises:
        UserError: a model without such layers, an argument that breaks its
            rule, or a protocol that does not know the model.
    """
    keras_2.refuse(model)
    decided = {"norm": (norm, "l1"), "bias": (bias, False)}
    seed_protocol.check(protocol, **decided, dense=(dense, False))
    found = seed_protocol.family(model) if protocol else None
    if factor is None:
        factor = found.factor if found else seed_protocol.FACTOR
    factor = not_negative("factor", factor)
    kernels = filters.of(model, dense=dense) if factor else []
    if factor and not kernels:
        other = "" if dense else " (with dense=True, a dense one counts, too)"
        raise UserError(
            f"orthogonalize needs a convolution{other} to regularise. "
            f"Received: model={model.name}"
        )
    bias = found.bias if found else bias
    changes = _without(model)
    for kernel, gram, weight in _plan(found, kernels):
        options = changes.setdefault(id(kernel.layer), {})
        name = kernel.regularizer
        options[name] = OrthoReg(
            factor,
            weight=weight,
            norm=norm,
            side=gram.side,
            filters=kernel.axes,
            besides=options.get(name, getattr(kernel.layer, name)),
        )
    augmented = {id(kernel.layer) for kernel in kernels if bias}

    def changed(layer):
        options = changes.get(id(layer), {})
        with_bias = id(layer) in augmented and layer.bias is not None
        return _made(layer, with_bias, options)

    return copy(model, changed)


def is_orthogonalized(model):
    """Whether any layer of a model has an OrthoReg, or is made for one."""
    return bool(_without(model) or layers_of(model, Augmented))


def _plan(found, kernels):
    """(`Filters`, `seed_protocol.Gram`, weight) of each kernel."""
    grams = [seed_protocol.Gram()] * len(kernels)
    if found:
        grams = seed_protocol.grams(found, kernels)
    sizes = {
        kernel.key: math.sqrt(_counted(kernel, gram))
        for kernel, gram in zip(kernels, grams, strict=True)
    }
    total = sum(sizes.values())
    for kernel, gram in zip(kernels, grams, strict=True):
        key = seed_protocol.lender(found, kernel.key) if found else kernel.key
        if key not in sizes:
            raise UserError(
                "protocol=seed weights a shortcut as the first convolution of "
                f"its block. Received: {kernel.key} without {key}"
            )
        yield kernel, gram, sizes[key] / total


def _counted(kernel, gram):
    sizes = {"filters": kernel.count, "inputs": kernel.fan_in}
    return sizes.get(gram.counted, min(sizes.values()))


def _without(model):
    """id of a layer -> its regularisers without any OrthoReg, as options."""
    changes = {}
    for layer in layers_of(model, keras.layers.Layer).values():
        for name, value in vars(layer).items():
            if isinstance(value, OrthoReg):
                changes.setdefault(id(layer), {})[name] = value.besides
    return changes


def _made(layer, augmented, options):
    """An unbuilt copy, augmented or not; Keras's convolutions stay as plain."""
    kind = type(layer)
    if augmented and kind in PLAIN.values():
        options = {"fused": False, **options}
    fused = getattr(layer, "fused", False)
    stock = {**_STOCK, **_OURS} if fused else _STOCK
    return clone(
        layer, (AUGMENTED if augmented else stock).get(kind), **options
    )
