"""prune_channels: layers are wrapped to lose channels in training."""

import keras

from rrelu_tf.errors import UserError
from rrelu_tf.pruning import schedules
from rrelu_tf.pruning.wrappers import kinds
from rrelu_tf.pruning.wrappers.bare import bare
from rrelu_tf.pruning.wrappers.policy import check
from rrelu_tf.pruning.wrappers.wrapper import PruneChannels, unwrapped
from rrelu_tf.strip import keras_2
from rrelu_tf.strip.cloning import clone, copy_weights
from rrelu_tf.strip.copying import copy
from rrelu_tf.strip.graph import trace, walk


def prune_channels(
    to_prune,
    pruning_schedule=None,
    score="l1",
    *,
    scope="layer",
    min_fraction=None,
    soft=False,
    score_options=None,
    pruning_policy=None,
):
    """Wraps layers so that they lose channels by a schedule while training.

    What `tfmot.sparsity.keras.prune_low_magnitude` does, on Keras 3 and for
    whole channels: `rrelu_tf.strip_pruning` then returns a smaller model.
    Train it with `rrelu_tf.UpdatePruningStep` among the callbacks.

    In each step in which the schedule has a turn, channels are scored and
    those with the lowest scores masked; the channels that stay are TFMOT's
    number, `max(round(channels * (1 - sparsity)), 1)` in half-to-even
    rounding. What is zeroed of a masked channel is what `rrelu_tf.mask`
    zeroes: of a convolution its filter and what makes numbers of it in the
    norm behind, too. Layers whose channels are each other's one to one, as a
    convolution and the depthwise one that alone reads it, have one mask, by
    the sum of their scores.

    Args:
        to_prune: a functional or built Sequential `keras.Model`, left as it
            is: every layer that has the score is wrapped, but for those of
            the outputs. Or a layer, or a list of layers, not yet in a model:
            they become the wrappers' own; of a list, those that have the
            score.
        pruning_schedule: when, and how many: `rrelu_tf.pruning.schedules`'
            or TFMOT's `PolynomialDecay`, `ConstantSparsity` or any other
            `PruningSchedule`, or its configuration. None is TFMOT's default,
            `ConstantSparsity(0.5, 0)`.
        score: a method of `rrelu_tf.score`, all of them are known. Those by
            gradients need the callback's `data`.
        scope: "layer", TFMOT's meaning: each layer loses the schedule's
            share. "global" compares the scores of all the layers that were
            wrapped with the same arguments and are in the same step of the
            schedule; channels that go together count once. Mind what scores
            are of: L1 norms are sums over a filter, so that layers of few
            inputs, depthwise ones above all, would go first and whole; hence
            the floor, and `score_options={"normalize": "layer"}`.
        min_fraction: in [0, 1), what each layer keeps at least, rounded up and
            never nothing. None: 0 in scope "layer", 0.05 in scope "global".
        soft: whether channels that are masked train on from zeros until the
            next turn or epoch, and may come back with a better score than
            others (soft filter pruning: He et al., 2018, algorithm 1). If
            not, they are held at 0 in every step and stay gone for as long
            as the sparsity does not sink.
        score_options: dict of further arguments of `rrelu_tf.score`.
        pruning_policy: a `PruningPolicy`, which says which layers of a model
            are left out.

    Returns:
        A new model of the same function, layer names and weights, compiled as
        the source is, with a fresh optimizer; or the wrapper, or a list.
        Layers that are wrapped already stay as they are.

    Raises:
        UserError: nothing that has the score; models of Keras 2 or TFMOT,
            subclassed or unbuilt ones; an argument outside its range.
    """
    if pruning_schedule is None:
        pruning_schedule = schedules.ConstantSparsity(0.5, 0)
    options = {
        "pruning_schedule": schedules.get(pruning_schedule),
        "score": score,
        "scope": scope,
        "min_fraction": min_fraction,
        "soft": soft,
        "score_options": score_options,
    }
    kinds.check(score)
    if pruning_policy is not None:
        check(pruning_policy)
    if isinstance(to_prune, (list, tuple)):
        return _wrapped_list(to_prune, options)
    keras_2.refuse(to_prune)
    if isinstance(to_prune, keras.Model):
        return _wrapped_model(to_prune, options, pruning_policy)
    if not isinstance(to_prune, keras.layers.Layer):
        raise UserError(
            "prune_channels takes a Keras 3 model, a layer or a list of "
            f"layers. Received: to_prune={type(to_prune).__name__}"
        )
    return _wrapped(to_prune, options)


def _wrapped(layer, options):
    if isinstance(layer, PruneChannels):
        return layer
    return PruneChannels(layer, **options)


def _wrapped_list(layers, options):
    for layer in layers:
        keras_2.refuse(layer)
        if not isinstance(layer, keras.layers.Layer):
            raise UserError(
                "A list for prune_channels must be of layers. "
                f"Received: element={type(layer).__name__}"
            )
    made = [
        _wrapped(layer, options)
        if kinds.accepts(layer, options["score"])
        else layer
        for layer in layers
    ]
    _check_some(made, options["score"], f"list of {len(made)} layers")
    return made


def _wrapped_model(model, options, policy):
    if policy is not None:
        policy.ensure_model_supports_pruning(model)
    found = kinds.prunable(bare(model), options["score"])
    # By key: `bare` made other layers.
    chosen = {
        id(node.layer)
        for _, node, key in walk(trace(model))
        if key in found
        and (policy is None or policy.allow_pruning(unwrapped(node.layer)))
    }

    def wrap(layer):
        copied = clone(layer)
        return _wrapped(copied, options) if id(layer) in chosen else copied

    def hand_over(source, target):
        same = isinstance(source, PruneChannels) or not isinstance(
            target, PruneChannels
        )
        copy_weights(source, target if same else target.layer)

    made = copy(model, wrap, hand_over)
    layers = [node.layer for _, node, _ in walk(trace(made))]
    _check_some(layers, options["score"], f"model {model.name}")
    return made


def _check_some(layers, score, received):
    if not any(isinstance(layer, PruneChannels) for layer in layers):
        raise UserError(
            f"The score {score} is of {kinds.described(score)}, and there must "
            f"be one that may lose channels. Received: {received}"
        )
