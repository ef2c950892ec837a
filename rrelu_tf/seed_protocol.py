"""protocol="seed": the OrthoReg authors' choices, one table by family.

What their code (commit 869f049 of arXiv 2009.05014) decides net by net stands
here, mistakes included, and nowhere else. The right protocol has no table: it
takes the smaller side and sqrt(filters) everywhere. Where the two differ:

- The first convolution's Gram matrix is that of its inputs, 27 x 27, even of
  16 filters, which cannot make it I: a loss of 11 or more is left.
- MobileNet-V1's pointwise convolutions, too, are drawn to orthonormal columns
  (one an input channel) and weighted by sqrt(inputs).
- A ResNet's shortcut is weighted as the first convolution of its block, while
  its own weight counts in the normaliser: the weights sum to 1.0287
  (ResNet-34) and 1.0121 (ResNet-56).
- VGG's biases are a further column of W.
- Scores: gradients are squared after the mean over the examples; tfo leaves
  beta out; rdt takes means over a batch inside the square, leaves w^2 out and
  divides by each variable's mean; VGG's |gamma| is divided by the fan-in.
"""

import dataclasses
import re

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Gram:
    """How one kind of layer is regularised and measured.

    Attributes:
        side: of the Gram matrix in the loss, see `rrelu_tf.gram.SIDES`.
        degree: of that whose degree of orthogonality is printed.
        counted: what the layer's weight is the square root of: "filters",
            "inputs" (the fan-in without bias), or the "smaller" of the two.
    """

    side: str = "smaller"
    degree: str = "smaller"
    counted: str = "filters"


@dataclasses.dataclass(frozen=True)
class Family:
    """The authors' choices for one of their nets.

    Attributes:
        pattern: regular expression of the models' names.
        factor: the regulariser's, lambda.
        bias: whether it is a further column of `W`.
        first: `Gram` of the first convolution.
        grams: kind of layer, see `filters.Filters` -> its `Gram`.
        lent: (pattern of the names of layers that are weighted by another
            layer's weight, what makes the other's name of theirs); their own
            weights still count in the normaliser. None: there are none.
        scores: name of a score -> options of its own, besides `SCORES`.
    """

    pattern: str
    factor: float
    bias: bool
    first: Gram
    grams: dict
    lent: tuple | None = None
    scores: dict = dataclasses.field(default_factory=dict)


# Name of a score -> its options in every family.
SCORES = {
    "bn": {"over_fan_in": False},
    "fisher": {"per_sample": False},
    "orthoreg": {"per_sample": False},
    "tfo": {"beta": False, "per_batch": False},
    "rdt": {
        "per_sample": False,
        "per_weight": True,
        "times_weights": False,
        "over_mean": True,
    },
}

_INPUTS = Gram("inputs", "inputs", "filters")
FAMILIES = {
    "vgg": Family(
        pattern=r"vgg\d+(_\w+)?",
        factor=1e-2,
        bias=True,
        first=_INPUTS,
        grams={"conv": Gram("filters", "filters", "filters")},
        scores={"bn": {"over_fan_in": True}},
    ),
    # Pointwise kernels by their columns: the inputs' side, not the filters'.
    "mobilenet": Family(
        pattern=r"mobilenet_v1",
        factor=1e-3,
        bias=False,
        first=_INPUTS,
        grams={
            "depthwise": _INPUTS,
            "pointwise": Gram("inputs", "inputs", "inputs"),
        },
    ),
    # The loss takes the weight of the block's first conv for the shortcut, so
    # that the weights' sum is not 1. The first conv's Gram matrix is 27 x 27
    # even where 16 filters cannot make it I.
    "resnet": Family(
        pattern=r"resnet(34|\d+_b)",
        factor=1e-2,
        bias=False,
        first=_INPUTS,
        grams={
            "conv": Gram("filters", "smaller", "smaller"),
            "pointwise": Gram("inputs", "smaller", "smaller"),
        },
        lent=(r"(shortcut|downsample)_0$", "conv1"),
    ),
}


def family(model):
    """The `Family` of a model, by its name as `models.create` gave it.

    Raises:
        UserError: a name of none of them.
    """
    for found in FAMILIES.values():
        if re.fullmatch(found.pattern, model.name):
            return found
    raise UserError(
        f"protocol=seed knows models of the families {', '.join(FAMILIES)} by "
        "their names (vgg13, mobilenet_v1, resnet34, resnet56_b, ...). "
        f"Received: model={model.name}"
    )


def score_options(model, method):
    """The options that a score has in the authors' code, of a family's model.

    Raises:
        UserError: a model of none of the families.
    """
    return SCORES.get(method, {}) | family(model).scores.get(method, {})


def check(protocol, **options):
    """Refuses an unknown protocol, and options that "seed" decides itself.

    Args:
        protocol: None, the right one, or "seed".
        **options: (value, default) by name.

    Raises:
        UserError: for the first that breaks its rule.
    """
    if protocol not in (None, "seed"):
        raise UserError(
            f'protocol must be None or "seed". Received: protocol={protocol}'
        )
    for name, (value, default) in options.items():
        if protocol and value != default:
            raise UserError(
                f"protocol=seed decides {name} itself. Received: {name}={value}"
            )


def grams(found, kernels):
    """The `Gram` of each of a model's kernels.

    Args:
        found: the model's `Family`.
        kernels: its `filters.Filters`, in forward order.

    Raises:
        UserError: a kind of layer that the authors' net does not have.
    """
    chosen = [found.first]
    for kernel in kernels[1:]:
        if kernel.kind not in found.grams:
            known = ", ".join(found.grams)
            raise UserError(
                f"protocol=seed knows the net by its layers: {known}. "
                f"Received: {kernel.key}={kernel.kind}"
            )
        chosen.append(found.grams[kernel.kind])
    return chosen


def lender(found, key):
    """Key of the layer whose weight a layer takes: mostly its own."""
    return re.sub(*found.lent, key) if found.lent else key
