"""How fast stripped and folded models are, where they are served.

    python benchmarks/latency.py

ResNet-20 and -56, WRN-16-4, MobileNet-V1 and VGG-13 for 32 x 32 with 25, 50 and
75 % of the channels of each layer gone (random weights, L1 size of filters,
widths rounded up to multiples of `--round_to`: 16 numbers are a vector of
AVX-512), folded, as a SavedModel, by LiteRT (XNNPACK) and by Keras's `predict`
(16 batches a call, which itself takes as long as many of them), in batches of 1
and 32. Partners (the dense net is folded, too) take turns in one process, one
thread; milliseconds of CPU time (user and system) a batch, medians of
`--rounds`. What stays where channels meet:

- gather: each layer's own; gathers line them up.
- couple: one mask for all that meet.
- zeros: the masks of "gather", but what meets keeps what any member has, so
  that the others compute zeros (`strip(align="couple")`).

Columns: `speedup` is dense over stripped, the median of ratios; `flops_ratio`
dense over stripped, too; `efficiency` the one over the other, to be at least
0.8 in batches of 32; a `speedup` is to be at least 1 everywhere. `auto` marks
what `align="auto"` takes of gather and couple. Nets without gathers have one
row for all three. Writes `benchmarks/results/latency.csv` as it goes; nets that
are there, in these widths, are not measured again without `--again`.
"""

import argparse
import csv
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

import rrelu_tf
from rrelu_tf.analysis.latency import compare
from rrelu_tf.data import Preprocessing
from rrelu_tf.export import litert, portable, saved_model
from rrelu_tf.layers import ChannelGather

NETS = ("resnet20", "resnet56", "wrn_16_4", "mobilenet_v1", "vgg13")
SHARES = (0.25, 0.5, 0.75)
BATCHES = (1, 32)
CALLED = 16  # batches in a call of `predict`
CLASSES = 10
PATH = pathlib.Path(__file__).parent / "results" / "latency.csv"
KEY = ("net", "gone_percent", "round_to")
# How masks are chosen, and stripped.
ALIGNS = {
    "gather": ("gather", "gather"),
    "couple": ("couple", "couple"),
    "zeros": ("gather", "couple"),
}


def stripped(model, share, round_to):
    """dict: alignment -> stripped model; and which of them auto takes."""
    scores = rrelu_tf.score(model, "l1", normalize="layer")
    options = {
        "model": model,
        "sparsity": share,
        "scope": "layer",
        "round_to": round_to,
        "reduce": "mean",
    }

    def small(select, strip):
        keep = rrelu_tf.select(scores, align=select, **options)
        masked = rrelu_tf.mask(model, keep)
        made = rrelu_tf.strip(masked, align=strip)
        rrelu_tf.verify(masked, made, samples=2)
        return made

    found = {name: small(*aligns) for name, aligns in ALIGNS.items()}
    if not gathers(found["gather"]):
        return {"gather": found["gather"]}, "gather"
    taken = small("auto", "auto")
    (same, *_) = [
        name for name in ("gather", "couple") if like(taken, found[name])
    ]
    return found, same


def gathers(model):
    """How many gathers a model has that are not of its architecture."""
    return sum(
        isinstance(layer, ChannelGather) and "gather" in layer.name
        for layer in model.layers
    )


def like(a, b):
    """Whether two strips of a model are the same."""
    return (gathers(a), a.count_params()) == (gathers(b), b.count_params())


class Served:
    """A model in every runtime.

    Attributes:
        calls: name of a runtime -> function of normalised images.
    """

    def __init__(self, model, folder):
        """Writes the model's files to a folder that is there."""
        preprocessing = Preprocessing(
            image_shape=model.input_shape[1:], mean=[0.0] * 3, std=[1.0] * 3
        )
        names = [f"class {number}" for number in range(CLASSES)]
        path = saved_model.write(
            model,
            folder / "saved_model",
            preprocessing=preprocessing,
            class_names=names,
            in_fresh_process=False,
        )
        self._loaded = tf.saved_model.load(str(path))  # keeps its variables
        served = self._loaded.signatures["normalized"]
        (file,) = portable.write(
            model, folder / "litert", ["litert"], preprocessing=preprocessing
        )
        self.calls = {
            "SavedModel": lambda x: served(images=x)["logits"],
            "LiteRT": _of_arrays(litert.load(file.path)),
            "Keras predict": _of_arrays(
                lambda x: model.predict(
                    x, batch_size=len(x) // CALLED, verbose=0
                )
            ),
        }


def _of_arrays(function):
    return lambda x: function(x.numpy())


def rows(net, share, given):
    """The table's rows of one net with a share of its channels gone."""
    keras.utils.set_random_seed(0)
    model = rrelu_tf.models.create(net, num_classes=CLASSES)
    small, taken = stripped(model, share, given.round_to)
    before = rrelu_tf.profile(model)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sides = {"dense": model, **small}
        served = {}
        for name, side in sides.items():
            (folder / name).mkdir()
            served[name] = Served(rrelu_tf.fold(side), folder / name)
        for name, side in small.items():
            flops = before.flops / rrelu_tf.profile(side).flops
            about = {
                "net": net,
                "gone_percent": round(100 * share),
                "round_to": given.round_to,
                "align": name if len(small) > 1 else "none meet",
                "auto": "yes" if name == taken else "",
                "gathers": gathers(side),
                "flops_ratio": f"{flops:.2f}",
            }
            for runtime in given.runtimes or served[name].calls:
                for batch in BATCHES:
                    count = CALLED if runtime == "Keras predict" else 1
                    times = measured(
                        served["dense"].calls[runtime],
                        served[name].calls[runtime],
                        images(model, batch * count),
                        given.rounds,
                    )
                    row = timed(times, count, flops)
                    yield about | {"runtime": runtime, "batch": batch} | row


def images(model, batch):
    """A batch of random normalised images."""
    shape = (batch, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def measured(dense, small, batch, rounds):
    """The `Comparison` of both."""
    return compare(dense, small, batch, repeats=rounds, warmup=3)


def timed(times, count, flops):
    """The columns of a `Comparison` of calls with `count` batches."""
    speedup = 1 / times.cpu_ratio
    return {
        "dense_cpu_ms": f"{times.before.cpu_ms / count:.3f}",
        "cpu_ms": f"{times.after.cpu_ms / count:.3f}",
        "speedup": f"{speedup:.2f}",
        "efficiency": f"{speedup / flops:.2f}",
        "dense_wall_ms": f"{times.before.wall_ms / count:.3f}",
        "wall_ms": f"{times.after.wall_ms / count:.3f}",
    }


def main():
    """Measures what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--runtimes", nargs="+")
    parser.add_argument("--round_to", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    found = []
    if PATH.exists():
        with open(PATH, newline="") as file:
            found = list(csv.DictReader(file))
    for net in given.nets:
        for share in given.shares:
            key = net, str(round(100 * share)), str(given.round_to)
            known = [r for r in found if key == tuple(r[k] for k in KEY)]
            if known and not given.again:
                continue
            new = list(rows(net, share, given))
            found = [row for row in found if row not in known] + new
            for row in new:
                print(*row.values(), flush=True)
            with open(PATH, "w", newline="") as file:
                table = csv.DictWriter(file, list(found[0]))
                table.writeheader()
                table.writerows(found)


if __name__ == "__main__":
    main()
