"""Strips random graphs and counts those on which it fails.

    python benchmarks/random_graphs.py --count=20000 --seed=0

Each graph is made, and judged, by `tests/strip/random_graphs.py`: the stripped
model must equal its source in float64, and lose nothing when stripped again.
Prints each failure's seed as it happens, now and then how many are done, and at
the end the number of graphs, the first seed and the number of failures, which
is the exit status, up to 1.
"""

import pathlib
import sys
import warnings

from absl import app, flags

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "strip"

_BATCH = 50  # graphs whose memory is given back at once
_TELL = 500

COUNT = flags.DEFINE_integer("count", 1000, "Number of graphs.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the first graph.")


def main(argv):
    """Runs the seeds from `--seed` on, `--count` of them."""
    del argv
    sys.path.insert(0, str(TESTS))
    import keras
    import random_graphs

    failures = 0
    for seed in range(SEED.value, SEED.value + COUNT.value):
        try:
            random_graphs.holds(seed)
        except Exception as error:  # each kind of it is a failure
            failures += 1
            print(f"seed={seed} {type(error).__name__}: {error}", flush=True)
        if seed % _BATCH == 0:  # it collects all garbage there is: slow
            keras.backend.clear_session()
        if seed % _TELL == 0:
            done = seed - SEED.value + 1
            print(f"{done} done, {failures} failures", flush=True)
    print(f"count={COUNT.value} seed={SEED.value} failures={failures}")
    return min(failures, 1)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "You are using a softmax over axis")
    app.run(main)
