"""Whether what `score` is asked makes sense."""

import inspect
import math
import numbers

from rrelu_tf.errors import UserError


def check_options(method, function, options):
    """Refuses options that a method does not have, or outside their range.

    Args:
        method: the method's name.
        function: what computes it; its options are keyword-only.
        options: dict of those given.
    """
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, value in options.items():
        if name not in known:
            common = ("batch_size", "normalize")
            raise UserError(
                f"The options of {method} are {', '.join((*known, *common))}. "
                f"Received: {name}={value}"
            )
        check_like(name, value, known[name])


def check_like(name, value, default):
    """Refuses a value of another kind than the default.

    Args:
        name: of the argument.
        value: what was given.
        default: a bool; an int, for whole numbers of at least 1, or of at
            least 0 if it is 0; a float, for numbers above 0; None for None
            and whole numbers of at least 1.
    """
    is_bool = isinstance(value, bool)
    whole = isinstance(value, numbers.Integral) and not is_bool
    if isinstance(default, bool):
        fine, rule = is_bool, "True or False"
    elif default is None or isinstance(default, int):
        least = 1 if default is None else min(default, 1)
        fine = (value is None and default is None) or (whole and value >= least)
        rule = f"a whole number of at least {least}"
    else:
        number = isinstance(value, numbers.Real) and not is_bool
        fine = number and math.isfinite(value) and value > 0
        rule = "a number above 0"
    if not fine:
        raise UserError(f"{name} must be {rule}. Received: {name}={value}")


def check_choice(name, value, known):
    """Refuses a value that is not one of those known."""
    if value not in known:
        shown = ", ".join(map(str, known))
        raise UserError(
            f"{name} must be one of {shown}. Received: {name}={value}"
        )
