"""protocol="seed": the OrthoReg authors' choices, one table by family."""

from rrelu_tf.seed_protocol.checks import check
from rrelu_tf.seed_protocol.families import (
    factor,
    family,
    grams,
    known,
    lender,
    score_options,
)
from rrelu_tf.seed_protocol.rounds import (
    Round,
    check_place,
    check_thresholds,
    ratios,
    rise,
    rounds,
)
from rrelu_tf.seed_protocol.table import FACTOR, FAMILIES, Gram
