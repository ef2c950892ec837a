"""What says how much is pruned, and the ranges of it.

Apart from the rest of pruning: a command line is answered by it before
TensorFlow is there.
"""

import math
import numbers

from rrelu_tf.errors import UserError

SCOPES = ("global", "layer")
ALIGNMENTS = ("gather", "couple", "auto")


def one_amount(amounts):
    """The name and value of the one amount that is given.

    Args:
        amounts: dict: name -> number or None.

    Raises:
        UserError: none or several, or a value outside its range.
    """
    name, value = only(amounts)
    check(name, value)
    return name, value


def only(amounts):
    """The name and value of the one amount that is given, whatever it is.

    Args:
        amounts: dict: name -> value or None.

    Raises:
        UserError: none or several.
    """
    given = {k: value for k, value in amounts.items() if value is not None}
    if len(given) != 1:
        shown = (f"{k}={value}" for k, value in (given or amounts).items())
        raise UserError(
            f"Exactly one of {', '.join(amounts)} must be given. "
            f"Received: {', '.join(shown)}"
        )
    ((name, value),) = given.items()
    return name, value


def check(name, value):
    """Refuses a threshold, sparsity or budget outside its range."""
    finite = _is_number(value) and math.isfinite(value)
    if name == "threshold":
        fine = finite and value >= 0
        rule = "A threshold must be a finite number of at least 0"
    elif name == "sparsity":
        fine = finite and 0 <= value < 1
        rule = "A sparsity must lie in [0, 1)"
    else:
        fine = finite and value > 0 and value != 1
        rule = "A budget must be a fraction in (0, 1) or an amount above 1"
    if not fine:
        raise UserError(f"{rule}. Received: {name}={value}")


def check_options(scope, align, min_fraction, round_to):
    """Refuses options of `rrelu_tf.select` outside their range."""
    for name, value, known in (
        ("scope", scope, SCOPES),
        ("align", align, ALIGNMENTS),
    ):
        if value not in known:
            raise UserError(
                f"{name} must be one of {', '.join(known)}. "
                f"Received: {name}={value}"
            )
    if not (_is_number(min_fraction) and 0 <= min_fraction < 1):
        raise UserError(
            "min_fraction must lie in [0, 1). "
            f"Received: min_fraction={min_fraction}"
        )
    whole = isinstance(round_to, numbers.Integral) and _is_number(round_to)
    if not (whole and round_to >= 1):
        raise UserError(
            "round_to must be a whole number of at least 1. "
            f"Received: round_to={round_to}"
        )


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
