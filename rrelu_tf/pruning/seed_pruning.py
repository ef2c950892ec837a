"""The OrthoReg authors' pruned nets: narrower where theirs are, else zeros."""

import re

import keras
import numpy as np

from rrelu_tf import seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.pruning.masking import mask, zero
from rrelu_tf.pruning.seed_units import by_unit, units
from rrelu_tf.strip import strip
from rrelu_tf.strip.cloning import clone, copy_weights
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import layers_of, trace
from rrelu_tf.strip.stripped import Stripped


def seed_pruned(model, keep):
    """One of the authors' nets, pruned as their code prunes it.

    VGG and MobileNet get narrower. Of a ResNet only the first convolutions of
    the blocks do: the filters of the others and of the shortcuts are zeroed,
    with the norm's gamma, beta and moving statistics, and a layer `<norm>_map`
    of zeros and ones behind the norm keeps them at 0 in training. (Theirs is
    no part of the file; here it is saved with the model.) A next round's map
    takes the place of the last one. `rrelu_tf.strip` of the same mask removes
    all of it.

    Args:
        model: one of the authors' nets, or what this function made of it.
        keep: dict: key -> bool array (channels,), True = keep, of every
            convolution or of every norm, as `select(protocol="seed")` returns.

    Returns:
        A new model that computes what `rrelu_tf.mask(model, keep)` does, not
        compiled; `rrelu_tf.kept` tells what it kept.

    Raises:
        UserError: a model of none of the families; masks of other layers or
            shapes, or without a single True; weights of float16 or bfloat16.
    """
    found = units(model)
    rules = seed_protocol.family(model).pruning
    keys, masks = by_unit(found, keep, "masks")
    narrowed, zeroed, before = {}, {}, None
    for unit, key, stays in zip(found, keys, masks, strict=True):
        stays = _checked(key, stays, unit.width)
        if re.fullmatch(rules.copied, unit.conv):
            _check_like_before(key, stays, before)
        before = stays
        in_place = re.fullmatch(rules.zeroed, unit.conv)
        (zeroed if in_place else narrowed)[unit.conv] = stays
    maps = {f"{unit.norm}_map" for unit in found}
    narrow = _narrowed(model, narrowed, maps)
    return _zeroed(narrow, found, zeroed, maps) if zeroed else narrow


def seed_parameters(model):
    """int: a pruned net's parameters as the authors count them.

    Those of PyTorch: without moving statistics; with the zeros of filters that
    are pruned where they are.
    """
    norms = layers_of(model, keras.layers.BatchNormalization).values()
    moving = sum(
        int(np.prod(variable.shape))
        for norm in norms
        for variable in (norm.moving_mean, norm.moving_variance)
    )
    return model.count_params() - moving


def _checked(key, stays, width):
    stays = np.asarray(stays)
    if stays.dtype != bool or stays.shape != (width,) or not stays.any():
        raise UserError(
            f"The mask of {key} must be a bool array of shape ({width},) that "
            f"keeps a channel. Received: {key}={stays.dtype} array of shape "
            f"{stays.shape} that keeps {np.count_nonzero(stays)}"
        )
    return stays


def _check_like_before(key, stays, before):
    if not np.array_equal(stays, before):
        raise UserError(
            f"The authors prune {key} with the layer before it: both must have "
            f"one mask. Received: {key}={np.count_nonzero(stays)} kept, before "
            f"it {np.count_nonzero(before)}"
        )


def _narrowed(model, keep, maps):
    """The model without these filters, and with all other ones.

    `strip` would also remove what happens to be 0. So it is given the places
    of the weights for weights, none of which is 0, and tells which are left.
    """

    def opened(layer):
        if layer.name in maps:
            return clone(layer, scale=[1.0] * len(layer.scale))
        return clone(layer)

    numbered = copy(model, opened)
    for layer in layers_of(numbered, keras.layers.Layer).values():
        for variable in layer.weights:
            _number(layer, variable)
    narrow = strip(mask(numbered, keep))
    sources = layers_of(model, keras.layers.Layer)
    for key, layer in layers_of(narrow, keras.layers.Layer).items():
        if not layer.weights:
            continue
        pairs = zip(layer.weights, sources[key].weights, strict=True)
        for variable, source in pairs:
            places = keras.ops.convert_to_numpy(variable).astype(int) - 1
            values = keras.ops.convert_to_numpy(source)
            variable.assign(values.ravel()[places])
    return narrow


def _number(layer, variable):
    """Sets a variable to the places of its entries, from 1."""
    count = int(np.prod(variable.shape))
    exact = {"float32": 2**24, "float64": 2**53}
    if count > exact.get(variable.dtype, 0):
        raise UserError(
            "seed_pruned needs weights of float32 (up to 16,777,216 a layer) "
            f"or float64. Received: {layer.name}={variable.dtype} of {count}"
        )
    variable.assign(np.arange(1.0, count + 1).reshape(variable.shape))


def _zeroed(model, found, keep, maps):
    """The model with zeros in these filters, and maps behind their norms."""
    behind = {u.norm: keep[u.conv] for u in found if u.conv in keep}

    def visit(node, tensors):
        if node.key in maps:
            return tensors
        layer = clone(node.layer)
        outputs = node.call(layer, tensors)
        copy_weights(node.layer, layer)
        if node.key not in behind:
            return outputs
        map_ = keras.layers.Rescaling(
            behind[node.key].astype(float).tolist(),
            name=f"{node.key}_map",
            dtype=layer.dtype_policy,
        )
        return [map_(outputs[0])]

    made = trace(model).rewrite(visit, model_class=Stripped)
    if not model.trainable:
        made.trainable = False
    made.kept, made.axes, made.widths = model.kept, model.axes, model.widths
    layers = layers_of(made, keras.layers.Layer)
    for unit in found:
        if unit.conv not in keep:
            continue
        gone, norm = ~keep[unit.conv], layers[unit.norm]
        zero(layers[unit.conv], gone)
        zero(norm, gone)
        variance = keras.ops.convert_to_numpy(norm.moving_variance)
        norm.moving_variance.assign(np.where(gone, 0, variance))
    return made
