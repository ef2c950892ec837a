"""How long a call takes."""

import time

import numpy as np


def timed(call, *args, **kwargs):
    """Calls a function.

    Args:
        call: function.
        *args: its arguments.
        **kwargs: its named arguments.

    Returns:
        (what it returned, `[CPU seconds of this process (user + system),
        wall-clock seconds]`, an array).
    """
    start = time.process_time(), time.perf_counter()
    made = call(*args, **kwargs)
    end = time.process_time(), time.perf_counter()
    return made, np.subtract(end, start)
