"""Architectures by name."""

import difflib
import re

from rrelu_tf.errors import UserError

_OPTIONS = (
    *("fused", "slope_regularizer", "slope_initializer", "sync_batch_norm"),
)

# name pattern -> (builder, names that stand for the family in a list, options
# of its own)
_FAMILIES = {}


def register(pattern, names, options=()):
    """Makes `build(*groups, **options)` the builder of names like `pattern`.

    Args:
        pattern: regular expression of a whole architecture name; its groups,
            as ints, are the builder's positional arguments.
        names: the members that `names()` lists.
        options: names of the keyword arguments that only this family takes.

    Returns:
        A decorator of functions `(*ints, num_classes, input_shape, activation,
        name, **options) -> keras.Model`.
    """

    def decorate(build):
        _FAMILIES[re.compile(pattern)] = (build, tuple(names), tuple(options))
        return build

    return decorate


def names():
    """The architectures' names, sorted.

    `wrn_<depth>_<width>` and `preact_resnet<depth>` are open-ended.
    """
    return sorted(
        name for _, members, _ in _FAMILIES.values() for name in members
    )


def own_options(name):
    """The options that an architecture alone takes, a tuple of names.

    Raises:
        UserError: an unknown name.
    """
    return _find(name)[2][len(_OPTIONS) :]


def create(
    name,
    *,
    num_classes,
    input_shape=(32, 32, 3),
    activation="relu",
    **options,
):
    """A new, randomly initialised model.

    Args:
        name: one of `names()`, or any `wrn_<depth>_<width>` or
            `preact_resnet<depth>`.
        num_classes: width of the logits, 1 or more.
        input_shape: `(height, width, channels)` of the normalised input.
        activation: "relu", "gelu", "silu", or "rrelu", "rgelu", "rsilu" for
            the rotated ones.
        **options: `slope_regularizer`, `slope_initializer` (of the rotated
            activations), `sync_batch_norm` (statistics over all replicas),
            `fused` (default True: norms by TensorFlow's fused kernels where
            there are such, slopes inside of convolutions; False: all by plain
            operations);
            `patch_size` of the vision transformers and mixers, `depth` of
            the former; `dropout` and `stochastic_depth` of the EfficientNets;
            `bn_first` of the VGGs.

    Returns:
        A functional `keras.Model` from images to logits
        `(batch, num_classes)`, of stock Keras layers besides those of
        `rrelu_tf.layers`.

    Raises:
        UserError: an unknown name, activation or option, or a shape that the
            architecture cannot take.
    """
    if not isinstance(num_classes, int) or num_classes < 1:
        raise UserError(
            "num_classes must be a whole number of at least 1. "
            f"Received: num_classes={num_classes}"
        )
    input_shape = tuple(input_shape)
    _check_shape(input_shape)
    build, numbers, known = _find(name)
    _check_options(options, known)
    return build(
        *numbers,
        num_classes=num_classes,
        input_shape=input_shape,
        activation=activation,
        name=name,
        **options,
    )


def _find(name):
    """Builder, numbers in the name and options of an architecture."""
    for pattern, (build, _, own) in _FAMILIES.items():
        match = pattern.fullmatch(name)
        if match:
            numbers = [int(group) for group in match.groups()]
            return build, numbers, (*_OPTIONS, *own)
    near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UserError(
        f"Unknown architecture. {meant}Known: {', '.join(names())}, and any "
        f"wrn_<depth>_<width> or preact_resnet<depth>. Received: name={name}"
    )


def _check_shape(input_shape):
    if len(input_shape) != 3 or not all(
        isinstance(size, int) and size > 0 for size in input_shape
    ):
        raise UserError(
            "input_shape must be (height, width, channels), all at least 1. "
            f"Received: input_shape={input_shape}"
        )


def _check_options(options, known):
    for option, value in options.items():
        if option not in known:
            raise UserError(
                f"The options are {', '.join(known)}. "
                f"Received: {option}={value}"
            )
