"""What a call costs this process: time, and memory (Linux)."""

import ctypes
import gc
import pathlib
from typing import NamedTuple

import clock

_PROCESS = pathlib.Path("/proc/self")


class Cost(NamedTuple):
    """CPU (user + system) and wall-clock seconds, and the peak rise in MiB.

    The rise is that of the resident memory over what was there before.
    """

    cpu_s: float
    wall_s: float
    rise_mib: float


def cost(call):
    """Calls a function and measures it.

    Args:
        call: function without arguments.

    Returns:
        (what it returned, its `Cost`).
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free is no part of "before"
    (_PROCESS / "clear_refs").write_text("5")  # the peak so far is forgotten
    before = _kibibytes("VmRSS")
    made, (cpu, wall) = clock.timed(call)
    return made, Cost(cpu, wall, (_kibibytes("VmHWM") - before) / 1024)


def _kibibytes(field):
    for line in (_PROCESS / "status").read_text().splitlines():
        name, _, amount = line.partition(":")
        if name == field:
            return int(amount.split()[0])
    raise KeyError(field)
