"""The one exception that means: the user asked for something impossible."""


class UserError(ValueError):
    """A mistake in what the user gave: a flag, a file, a data set, an argument.

    The message is one line that states the rule and ends with
    "Received: name=value". The commands print it without a traceback and exit
    with code 2; library callers see an ordinary `ValueError`.
    """
