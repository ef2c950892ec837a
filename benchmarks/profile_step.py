"""Where a training step's time and memory go, by TensorFlow's profiler.

    python benchmarks/profile_step.py

Steps of `training_step.py`, each net and partner in a process of its own, one
thread. Shares of the wall-clock time of `_STEPS` profiled steps: what each kind
of operation takes (of operations inside others the outer one), and `framework`,
what no operation does. Memory: `held_mib`, the tensors that TensorFlow's
allocator holds at the peak of a profiled step; `holes`, the share of its pool
that is free between them then. Writes `benchmarks/results/profile_step.csv`.
"""

import argparse
import collections
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import tensorflow as tf
import training_step
from tensorflow.tsl.profiler.protobuf import xplane_pb2

PARTNERS = ("fused relu", "stock relu", "fused rrelu", "stock rrelu")
PATH = pathlib.Path(__file__).parent / "results" / "profile_step.csv"
_STEPS = 5
# Kinds, by what the name of an operation's type contains; the first counts.
_KINDS = {
    "convolutions": ("Conv2D",),
    "norms": ("BatchNorm", "Moments", "Rsqrt", "SquaredDifference"),
    "variables": ("Assign", "Variable"),
    "elementwise": (
        *("Relu", "Mul", "Add", "Sub", "Neg", "Sum", "Mean", "Square"),
        *("Sign", "Select", "Abs", "Greater", "Elementwise", "Cast"),
    ),
    "pads_and_pools": ("Pad", "Pool", "Slice", "Concat", "Transpose"),
}
COLUMNS = (
    *("net", "partner", "ms_per_image", *_KINDS, "others", "framework"),
    *("held_mib", "holes"),
)


def kind(operation):
    """The kind of an operation's type."""
    for name, parts in _KINDS.items():
        if any(part in operation for part in parts):
            return name
    return "others"


def profiled(call):
    """(seconds of the steps, what the profiler saw of them)."""
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
        tf.profiler.experimental.start(folder, options=options)
        start = time.perf_counter()
        for _ in range(_STEPS):
            call()
        seconds = time.perf_counter() - start
        tf.profiler.experimental.stop()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace()
        space.ParseFromString(path.read_bytes())
    return seconds, space


def events(space):
    """(line, name, start and end in picoseconds, statistics) of all events."""
    for plane in space.planes:
        names = {key: one.name for key, one in plane.event_metadata.items()}
        fields = {key: one.name for key, one in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                stats = {
                    fields[one.metadata_id]: one.int64_value
                    or one.uint64_value
                    or one.double_value
                    for one in event.stats
                }
                end = event.offset_ps + event.duration_ps
                name = names[event.metadata_id]
                yield (plane.name, line.id), name, event.offset_ps, end, stats


def times(space):
    """kind -> seconds; operations that ran inside others are theirs."""
    lines, spent = collections.defaultdict(list), collections.Counter()
    for line, name, start, end, _ in events(space):
        label, _, operation = name.rpartition(":")
        own = "::" not in name  # that is TensorFlow's own function
        if own and label and operation.lstrip("_").isalnum():
            lines[line].append((start, -end, operation))
    for found in lines.values():
        until = 0
        for start, end, operation in sorted(found):
            if start >= until:
                spent[kind(operation)] += (-end - start) / 1e12
                until = -end
    return spent


def memory(space):
    """(MiB of tensors at the peak, share of the pool that is holes then)."""
    held = [
        (stats.get("bytes_allocated", 0), stats.get("fragmentation", 0.0))
        for _, name, *_, stats in events(space)
        if name.startswith("Memory")
    ]
    peak, holes = max(held)
    return peak / 2**20, holes


def measure(net, partner):
    """Of `COLUMNS`, here."""
    call = training_step.step(net, partner)
    for _ in range(2):
        call()
    seconds, space = profiled(call)
    spent = times(space)
    shares = [spent[name] / seconds for name in (*_KINDS, "others")]
    held, holes = memory(space)
    return [
        *(net, partner, f"{1000 * seconds / _STEPS / training_step.BATCH:.2f}"),
        *(f"{share:.3f}" for share in (*shares, 1 - sum(shares))),
        *(f"{held:.0f}", f"{holes:.2f}"),
    ]


def main():
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if given.one:
        print(json.dumps(measure(*given.one)))
        return
    rows = [COLUMNS]
    for net in training_step.NETS:
        for partner in PARTNERS:
            command = [sys.executable, __file__, "--one", net, partner]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            )
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(*rows[-1], flush=True)
    with open(PATH, "w", newline="") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main()
