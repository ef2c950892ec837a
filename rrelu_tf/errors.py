"""What ends a command though the program is right."""


class UserError(ValueError):
    """A mistake in what the user gave: a flag, a file, a data set, an argument.

    The message is one line that states the rule and ends with
    "Received: name=value". The commands print it without a traceback and exit
    with code 2; library callers see an ordinary `ValueError`.
    """


class NothingGoes(UserError):
    """What was asked for leaves every channel: it is met, or too little.

    A mistake of one call, but none of a later round of pruning.
    """


class WorkerLost(Exception):
    """Another worker of the job is gone, and no step can be taken without it.

    The run goes on from its last whole epoch once all workers are back.
    """


def first_line(error):
    """What an exception says, for an error of one line.

    Returns:
        Its message's first line without a full stop or colon at the end; the
        name of its class where it says nothing.
    """
    lines = str(error).strip().splitlines() or [""]
    return lines[0].rstrip(" .:") or type(error).__name__
