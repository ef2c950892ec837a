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
- Selection: MobileNet-V1's depthwise filters have the scores of the filters
  that feed them, which so count twice; in VGG and MobileNet-V1 each layer's
  last 5 % of the filters are kept, by index and not by score; in a ResNet the
  first convolution is. How many go is cut to whole numbers several times.
- Pruning: a ResNet loses the first filters of its blocks; all others are
  zeroed where they are.
"""

import dataclasses

FACTOR = 1e-2  # lambda of most of their nets, and of any other


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
class Pruning:
    """How filters are selected and pruned in one of the authors' nets.

    Patterns are regular expressions of whole names of convolutions.

    Attributes:
        counts: how many go, see `rounds.Round.goes`: "share" of those that
            are there, or all but a whole "percent" of the first net's.
        protected: share of a layer's filters, as many as it had at first, by
            which, and one more, the last by index are kept.
        whole: pattern of the layers that are never pruned.
        copied: pattern of the layers whose scores and masks are those of the
            layer before.
        zeroed: pattern of the layers that keep their width, with zeros.
    """

    counts: str
    protected: float | None = None
    whole: str = ""
    copied: str = ""
    zeroed: str = ""


@dataclasses.dataclass(frozen=True)
class Family:
    """The authors' choices for one of their nets.

    Attributes:
        pattern: regular expression of the models' names.
        bias: whether it is a further column of `W`.
        first: `Gram` of the first convolution.
        grams: kind of layer, see `filters.Filters` -> its `Gram`.
        pruning: its `Pruning`.
        lent: (pattern of the names of layers that are weighted by another
            layer's weight, what makes the other's name of theirs); their own
            weights still count in the normaliser. None: there are none.
        functional: whether activations and poolings are calls of functions,
            not modules, which `rrelu_tf.analysis.ptflops` counts otherwise.
        scores: name of a score -> options of its own, besides `SCORES`.
        factor: the regulariser's, lambda.
    """

    pattern: str
    bias: bool
    first: Gram
    grams: dict
    pruning: Pruning
    lent: tuple | None = None
    functional: bool = True
    scores: dict = dataclasses.field(default_factory=dict)
    factor: float = FACTOR


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
        bias=True,
        first=_INPUTS,
        grams={"conv": Gram("filters", "filters", "filters")},
        pruning=Pruning("share", protected=0.05),
        functional=False,
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
        pruning=Pruning("share", protected=0.05, copied=r"layers_\d+_conv1"),
    ),
    # The loss takes the weight of the block's first conv for the shortcut, so
    # that the weights' sum is not 1. The first conv's Gram matrix is 27 x 27
    # even where 16 filters cannot make it I.
    "resnet": Family(
        pattern=r"resnet(34|\d+_b)",
        bias=False,
        first=_INPUTS,
        grams={
            "conv": Gram("filters", "smaller", "smaller"),
            "pointwise": Gram("inputs", "smaller", "smaller"),
        },
        pruning=Pruning(
            "percent",
            whole="conv1",
            zeroed=r".*_(conv2|shortcut_0|downsample_0)",
        ),
        lent=(r"(shortcut|downsample)_0$", "conv1"),
    ),
}
