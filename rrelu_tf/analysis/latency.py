"""How long inference takes: CPU time first, wall clock second.

On a machine that others use, too, the wall clock jumps by factors while the
CPU time of the process (user and system, all threads) repeats within a few
per cent. Two models are compared in one run, in turns, so that whatever the
machine does meanwhile meets both.
"""

import dataclasses
import statistics
import time

import keras
import tensorflow as tf

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Latency:
    """Medians over the repeats, of one call.

    Attributes:
        cpu_ms: CPU time of the process (user and system), in milliseconds.
        wall_ms: wall-clock time, in milliseconds.
        batch_size: examples in the call.
    """

    cpu_ms: float
    wall_ms: float
    batch_size: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two latencies measured in turns.

    Attributes:
        before: the first partner's `Latency`.
        after: the second's.
        cpu_ratio: median over the rounds of after's CPU time / before's.
        wall_ratio: the same of the wall clock.
    """

    before: Latency
    after: Latency
    cpu_ratio: float
    wall_ratio: float


def measure(call, batch, *, repeats=30, warmup=3):
    """The latency of one call.

    Args:
        call: a `keras.Model`, measured as a compiled `tf.function` in
            inference mode, or any function of `batch`.
        batch: array or tensor `(batch, ...)`, or a structure of these for
            several inputs.
        repeats: int, calls that are timed, at least 1.
        warmup: int, calls before them (they trace and compile).

    Returns:
        A `Latency`.

    Raises:
        UserError: if `repeats` is less than 1.
    """
    rounds = _rounds([call], batch, repeats, warmup)
    return _median([times for (times,) in rounds], batch)


def compare(before, after, batch, *, repeats=30, warmup=3):
    """Two latencies, measured in turns in one run.

    Each round times both, the one that goes first alternating.

    Args:
        before: as `call` of `measure`.
        after: as `before`, on the same batch.
        batch: array or tensor `(batch, ...)`, or a structure of these.
        repeats: int, rounds, at least 1.
        warmup: int, rounds before them.

    Returns:
        A `Comparison`.

    Raises:
        UserError: if `repeats` is less than 1.
    """
    rounds = _rounds([before, after], batch, repeats, warmup)
    cpu, wall = (
        statistics.median(b[clock] / max(a[clock], 1e-9) for a, b in rounds)
        for clock in (0, 1)
    )
    return Comparison(
        before=_median([a for a, _ in rounds], batch),
        after=_median([b for _, b in rounds], batch),
        cpu_ratio=cpu,
        wall_ratio=wall,
    )


def _rounds(calls, batch, repeats, warmup):
    """List of rounds, each a list of (CPU seconds, wall seconds) per call."""
    if repeats < 1:
        raise UserError(
            f"repeats must be at least 1. Received: repeats={repeats}"
        )
    batch = keras.tree.map_structure(tf.convert_to_tensor, batch)
    calls = [_compiled(call) for call in calls]
    for _ in range(warmup):
        for call in calls:
            _time(call, batch)
    rounds = []
    for number in range(repeats):
        times = [None] * len(calls)
        order = range(len(calls))
        for index in order if number % 2 == 0 else reversed(order):
            times[index] = _time(calls[index], batch)
        rounds.append(times)
    return rounds


def _compiled(call):
    if not isinstance(call, keras.Model):
        return call
    return tf.function(
        lambda images: call(images, training=False), autograph=False
    )


def _time(call, batch):
    cpu, wall = time.process_time(), time.perf_counter()
    # A GPU's answer is only there once it is copied.
    tf.nest.map_structure(keras.ops.convert_to_numpy, call(batch))
    return time.process_time() - cpu, time.perf_counter() - wall


def _median(times, batch):
    cpu, wall = (1000 * statistics.median(t) for t in zip(*times, strict=True))
    size = len(keras.tree.flatten(batch)[0])
    return Latency(cpu_ms=cpu, wall_ms=wall, batch_size=size)
