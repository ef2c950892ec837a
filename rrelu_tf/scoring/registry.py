"""Scores by name."""

import difflib

import numpy as np

from rrelu_tf import seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.scoring import arguments
from rrelu_tf.scoring.bn import bn
from rrelu_tf.scoring.fisher import fisher
from rrelu_tf.scoring.fpgm import fpgm
from rrelu_tf.scoring.grasp import grasp
from rrelu_tf.scoring.l1 import l1
from rrelu_tf.scoring.orthoreg import orthoreg
from rrelu_tf.scoring.passes import Passes
from rrelu_tf.scoring.random import random
from rrelu_tf.scoring.rdt import rdt
from rrelu_tf.scoring.sfp import sfp
from rrelu_tf.scoring.slope import slope
from rrelu_tf.scoring.tfo import tfo
from rrelu_tf.strip import keras_2

# Each a function of `Passes` and options of its own.
_METHODS = {
    "slope": slope,
    "bn": bn,
    "l1": l1,
    "sfp": sfp,
    "fpgm": fpgm,
    "fisher": fisher,
    "orthoreg": orthoreg,
    "tfo": tfo,
    "rdt": rdt,
    "grasp": grasp,
    "random": random,
}
_ON_DATA = ("fisher", "orthoreg", "tfo", "rdt", "grasp")


def score(
    model,
    method,
    data=None,
    samples=10_000,
    protocol=None,
    *,
    batch_size=128,
    normalize=None,
    **options,
):
    """How important each channel is, by one method.

    By weights: "slope" of rotated activations; "bn", |gamma| of batch
    normalisations; "l1", "sfp" (L2) and "fpgm" (distances to the layer's other
    filters) of convolutions and dense layers; "random". By gradients, on data:
    "fisher", "orthoreg" (the same), "rdt" and "grasp" of convolutions and
    dense layers, "tfo" of batch normalisations. Each has a file of its own in
    `rrelu_tf.scoring`, which tells its formula, source and options.

    Scores by gradients are computed in evaluation mode. The model's output
    layer has none: its channels are what is asked for.

    Args:
        model: a functional or built Sequential `keras.Model`. For scores by
            gradients with one output: logits or their softmax.
        method: the method's name.
        data: for scores by gradients a finite `tf.data.Dataset` of (images,
            int labels) batches or a tuple (images, labels) of arrays; taken in
            the order given.
        samples: int, the most examples that are used, the first ones.
        protocol: None, each method as its authors mean it; "seed", as the
            OrthoReg authors' code computes it (`seed_protocol`), whole
            batches until more than `samples` examples were seen.
        batch_size: int, examples in a batch that is cut from a tuple.
        normalize: "layer" divides a layer's scores by their Euclidean norm
            (Molchanov et al., 2017, section 2.2); None leaves them.
        **options: the method's own.

    Returns:
        dict in forward order: layer name, `outer/inner` inside nested models
        -> float array (channels,); higher is more important. A layer that is
        called several times has one score, under its first name.

    Raises:
        UserError: an unknown method or option, or one outside its range; no
            data, or labels that are not the model's classes; a model without
            anything to score; scores that are not finite.
    """
    passes = _passes(model, data, samples, protocol, batch_size)
    return _scored(passes, method, protocol, normalize, options)


def scores(
    model,
    methods,
    data=None,
    samples=10_000,
    protocol=None,
    *,
    batch_size=128,
    normalize=None,
):
    """Scores by several methods; those that share a pass over the data do.

    "fisher", "orthoreg" and "tfo" together take no longer than one of them.

    Args:
        model: as of `score`.
        methods: list of names; each with its default options.
        data: as of `score`.
        samples: as of `score`.
        protocol: as of `score`.
        batch_size: as of `score`.
        normalize: as of `score`.

    Returns:
        dict: method -> what `score` returns.

    Raises:
        UserError: as `score`.
    """
    passes = _passes(model, data, samples, protocol, batch_size)
    return {
        method: _scored(passes, method, protocol, normalize, {})
        for method in methods
    }


def check(
    model,
    method,
    data=None,
    samples=10_000,
    protocol=None,
    *,
    batch_size=128,
    normalize=None,
    **options,
):
    """Refuses arguments that `score` would refuse, and computes nothing.

    Args: all as of `score`.

    Raises:
        UserError: an unknown method or option, or one outside its range; a
            score by gradients of no data, or of data of another kind.
    """
    passes = _passes(model, data, samples, protocol, batch_size)
    _checked(passes, method, protocol, normalize, options)
    if method in _ON_DATA:
        passes.examples()


def methods():
    """List of the methods' names."""
    return list(_METHODS)


def _passes(model, data, samples, protocol, batch_size):
    keras_2.refuse(model)
    seed_protocol.check(protocol)
    arguments.check_like("samples", samples, 1)
    arguments.check_like("batch_size", batch_size, 1)
    whole = protocol == "seed"
    return Passes(model, data, samples, batch_size=batch_size, whole=whole)


def _checked(passes, method, protocol, normalize, options):
    """A method's function and all of its options."""
    if method not in _METHODS:
        near = difflib.get_close_matches(str(method), _METHODS, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UserError(
            f"method must be one of {', '.join(_METHODS)}{hint} "
            f"Received: method={method}"
        )
    function = _METHODS[method]
    arguments.check_options(method, function, options)
    arguments.check_choice("normalize", normalize, [None, "layer"])
    if protocol == "seed":
        fixed = seed_protocol.score_options(passes.model, method)
        given = {name: (options.get(name, x), x) for name, x in fixed.items()}
        seed_protocol.check(protocol, normalize=(normalize, None), **given)
        options = options | fixed
    return function, options


def _scored(passes, method, protocol, normalize, options):
    function, options = _checked(passes, method, protocol, normalize, options)
    found = function(passes, **options)
    if not found:
        raise UserError(
            f"No layer of the model has a {method} score. "
            f"Received: model={passes.model.name}"
        )
    for key, values in found.items():
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise UserError(
                f"Scores by {method} must be finite, and weights, images or "
                "gradients that are not make others. "
                f"Received: {key}={wrong} of {len(values)} not finite"
            )
    if normalize is None:
        return found
    return {key: _over_norm(values) for key, values in found.items()}


def _over_norm(values):
    norm = np.linalg.norm(values)
    return values / norm if norm else values
