"""What protocol="seed" changes: each difference alone, measured.

    python benchmarks/seed_effects.py [--shared=../shared]

On the OrthoReg authors' ResNet-56 and VGG-13 as the fixtures have them (random
weights, 64 images, four for rdt) and MobileNet-V1 at its random start. Scores:
Spearman's correlation of all channels' scores with and without the difference,
and how many channels of 100 `select(sparsity=0.5)` would keep in one case only.
Selection: the same share, of two selections from the same scores. OrthoReg:
the loss, and the cosine of its gradient by the kernels, in the layers that it
is about; the degree of orthogonality; parameters and MACs that are left. Writes
`benchmarks/results/seed_effects.csv`.
"""

import pathlib

import applications
import numpy as np
import tensorflow as tf
from absl import app, flags
from scipy.stats import spearmanr

import rrelu_tf
from rrelu_tf import seed_protocol
from rrelu_tf.analysis import orthogonality
from rrelu_tf.pruning import seed_parameters, seed_pruned, seed_rounds
from rrelu_tf.scoring.fisher import fisher
from rrelu_tf.scoring.passes import Passes
from rrelu_tf.scoring.rdt import rdt
from rrelu_tf.scoring.tfo import tfo

flags.DEFINE_string("shared", "../shared", "The folder with the fixtures.")
_FILES = {"resnet56_b": "resnet56", "vgg13": "vgg13"}
_BATCH = 16
# Score -> what the authors have otherwise, one option each.
_OPTIONS = (
    ("fisher", "per_sample", False),
    ("tfo", "beta", False),
    ("tfo", "per_batch", False),
    ("rdt", "per_sample", False),
    ("rdt", "times_weights", False),
    ("rdt", "over_mean", True),
)
_METHODS = {"fisher": fisher, "tfo": tfo, "rdt": rdt}
_WHOLE = 40  # images asked for: two and a half batches


def load(arch, shared):
    """(one of the authors' nets, the 64 images and labels, the small set)."""
    model = rrelu_tf.models.create(arch, num_classes=100)
    if arch not in _FILES:
        return model, None, None
    file = pathlib.Path(shared) / "fixtures/orthoreg" / f"{_FILES[arch]}.npz"
    rrelu_tf.models.load_seed_weights(model, file)
    arrays = np.load(file)
    images = (arrays["images_u8"].astype("float32") / 255 - 0.5) / 0.5
    four, labels = arrays["small_idx"], arrays["labels"]
    return model, (images, labels), (images[four], labels[four])


def row(where, net, right, seed, *, kept=None):
    """The table's row of two scores, or of two selections' masks."""
    a, b = (np.concatenate(list(x.values())) for x in (right, seed))
    found = {"where": where, "net": net, "Spearman": ""}
    if kept is None:
        found["Spearman"] = round(float(spearmanr(a, b)[0]), 3)
        masks = (rrelu_tf.select(x, sparsity=0.5) for x in (right, seed))
        a, b = (np.concatenate(list(x.values())) for x in masks)
    found["kept_otherwise_percent"] = round(100 * float(np.mean(a != b)), 1)
    return found


def scores(net, model, data, four):
    """Rows of the differences in scores."""
    passes = {
        "fisher": Passes(model, data, batch_size=_BATCH),
        "rdt": Passes(model, four),
    }
    passes["tfo"] = passes["fisher"]
    right = {}
    for method, option, value in _OPTIONS:
        function, own = _METHODS[method], passes[method]
        if method not in right:
            right[method] = function(own)
        seed = function(own, **{option: value})
        yield row(f"{method}, {option}={value}", net, right[method], seed)
    for method, function in _METHODS.items():
        options = seed_protocol.score_options(model, method)
        seed = function(passes[method], **options)
        yield row(f"{method}, all of it", net, right[method], seed)
    few, whole = (
        fisher(Passes(model, data, count, batch_size=_BATCH))
        for count in (_WHOLE, 3 * _BATCH)
    )
    yield row(f"examples, {_WHOLE} or whole batches (fisher)", net, few, whole)


def selections(net, model, data):
    """Rows of the differences in selection, from the same scores."""
    for method in ("l1", "fisher") if data else ("l1",):
        found = rrelu_tf.score(model, method, data, batch_size=_BATCH)
        right = rrelu_tf.select(found, sparsity=0.5, model=model)
        seed = rrelu_tf.select(
            found, sparsity=0.5, model=model, protocol="seed"
        )
        yield row(f"selection from {method}", net, right, seed, kept=True)


def regularisers(net, model):
    """Rows of the differences in OrthoReg's loss."""
    nets = {
        protocol: rrelu_tf.orthogonalize(model, protocol=protocol, factor=1.0)
        for protocol in (None, "seed")
    }
    keys = list(rrelu_tf.score(model, "l1"))
    parts = {"first convolution": keys[:1], "all convolutions": keys}
    for part, word in (("shortcuts", "shortcut"), ("pointwise", "_conv2")):
        if net == "mobilenet_v1" or word == "shortcut":
            parts[part] = [key for key in keys if word in key]
    for part, chosen in parts.items():
        if chosen:
            (a, right), (b, seed) = (
                _loss(made, chosen) for made in nets.values()
            )
            norms = np.linalg.norm(right) * np.linalg.norm(seed)
            yield {
                "where": f"OrthoReg, {part}",
                "net": net,
                "loss_seed_over_right": round(b / a, 3),
                "cosine_of_gradients": round(float(right @ seed / norms), 3),
            }


def _loss(model, keys):
    """(the layers' penalties, their gradient by the kernels as a vector)."""
    layers = [model.get_layer(key) for key in keys]
    with tf.GradientTape() as tape:
        loss = tf.add_n([term for layer in layers for term in layer.losses])
    found = tape.gradient(loss, [layer.kernel.value for layer in layers])
    return float(loss), np.concatenate([np.ravel(g) for g in found])


def degrees(net, model):
    """Rows of the mean degree of orthogonality, of all layers and the first."""
    right, seed = (
        list(orthogonality(model, protocol=protocol).values())
        for protocol in (None, "seed")
    )
    for part, a, b in (
        ("all", np.mean(right), np.mean(seed)),
        ("the first", right[0], seed[0]),
    ):
        yield {
            "where": f"degree of orthogonality, {part}",
            "net": net,
            "right": round(float(a), 3),
            "seed": round(float(b), 3),
        }


def sizes(net, model, data):
    """Rows of what is left at 50 % by fisher: zeros in place, or stripped."""
    options = {"protocol": "seed"}
    found = rrelu_tf.score(model, "fisher", data, batch_size=64, **options)
    keep = rrelu_tf.select(found, sparsity=0.5, model=model, **options)
    seed = seed_pruned(model, keep)
    right = rrelu_tf.strip(rrelu_tf.mask(model, keep))
    for name, of in (
        ("parameters", seed_parameters),
        ("MACs", lambda model: rrelu_tf.profile(model).flops // 2),
    ):
        yield {
            "where": f"{name} at 50 %, of {of(model)}",
            "net": net,
            "right": of(right),
            "seed": of(seed),
        }


def rounds(net, model):
    """Rows of what whole numbers cost: what is asked, and what goes."""
    for percent, count in ((80, 1), (50, 2), (75, 25), (95, 10)):
        plan = seed_rounds(model, percent / 100, rounds=count)
        yield {
            "where": f"whole numbers, {percent} % in {count} rounds",
            "net": net,
            "gone_percent": 100 - plan[-1].percent,
        }


def measure(net, shared):
    """All rows of one net."""
    model, data, four = load(net, shared)
    yield from regularisers(net, model)
    yield from degrees(net, model)
    yield from selections(net, model, data)
    if net == "resnet56_b":
        yield from sizes(net, model, data)
        yield from rounds(net, model)
        yield from scores(net, model, data, four)
    if net == "vgg13":
        right, seed = (
            rrelu_tf.score(model, "bn", protocol=protocol)
            for protocol in (None, "seed")
        )
        yield row("bn, over_fan_in=True", net, right, seed)


def main(_):
    """Measures, prints and writes the table."""
    rows = []
    for net in ("vgg13", "mobilenet_v1", "resnet56_b"):
        for found in measure(net, flags.FLAGS.shared):
            rows.append(found)
            print(found, flush=True)
            applications.write(applications.RESULTS / "seed_effects.csv", rows)
    applications.show(rows, 'What protocol="seed" changes')


if __name__ == "__main__":
    app.run(main)
