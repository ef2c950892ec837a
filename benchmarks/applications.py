"""What strip makes of every constructor of keras.applications.

    python benchmarks/applications.py [--only=ResNet50,VGG16]

Random weights, the constructor's own input size, a random half of the output
channels of every layer with a kernel masked, the output layer apart; then
`strip`. A process per model. Linear outputs are compared: a softmax would
hide differences. How long strip takes: `against_torch_pruning.py`. Writes
`benchmarks/results/applications.csv` (`--only` replaces the rows it names).
"""

import csv
import inspect
import json
import pathlib
import subprocess
import sys

import keras
import memory
import numpy as np
from absl import app, flags
from rich.table import Table

import rrelu_tf
from rrelu_tf.analysis import text

RESULTS = pathlib.Path(__file__).parent / "results"
_KINDS = {"Conv2D", "SeparableConv2D", "DepthwiseConv2D", "Dense"}


def constructors():
    """name -> function, of everything in keras.applications that makes one."""
    return dict(inspect.getmembers(keras.applications, inspect.isfunction))


def create(name, **options):
    """The model, of random weights and statistics, with linear outputs."""
    options = {"weights": None, "classifier_activation": None, **options}
    model = constructors()[name](**options)
    if None in model.input_shape[1:]:  # any size: 224, as the others
        model = constructors()[name](**options, input_shape=(224, 224, 3))
    return randomise(model)


def randomise(model, seed=0):
    """Gives every weight a value that is not special."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        if not variable.dtype.startswith("float"):
            continue
        if variable.name.endswith("kernel"):
            fan_in = np.prod(variable.shape[:-1])
            if variable.name == "depthwise_kernel":
                fan_in = np.prod(variable.shape[:2])
            values = generator.normal(0, np.sqrt(2 / fan_in), variable.shape)
        else:
            values = generator.uniform(0.4, 1.1, variable.shape)
            if not variable.name.endswith("variance"):
                values *= generator.choice((-1, 1), variable.shape)
        variable.assign(values)
    for layer in _leaves(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def masked(model, keep):
    """The masked model, its batch normalisations with statistics that suit it.

    They are those of random images, each off by a random amount: statistics
    that do not suit let the signal fade behind the offsets, layer by layer,
    and outputs that hardly depend on the inputs prove little.
    """
    model = rrelu_tf.mask(model, keep)
    norms = [
        layer
        for layer in _leaves(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not norms:
        return model
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    # Small images leave single pixels behind: more of them make statistics.
    model(images(model, max(2, 512 // model.input_shape[1])), training=True)
    generator = np.random.default_rng(3)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        mean, std = np.asarray(norm.moving_mean), np.sqrt(norm.moving_variance)
        # Channels that hardly vary would have their rounding errors blown up.
        std = np.maximum(std, 0.5 * std.mean())
        norm.moving_mean.assign(
            mean + std * generator.normal(0, 0.3, std.shape)
        )
        std = std * generator.uniform(0.8, 1.3, std.shape)
        norm.moving_variance.assign(np.square(std))
    return model


def _leaves(model):
    """The layers of a model, and of those nested in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def images(model, count, seed=1):
    """Random pictures of 4 x 4 colours, 0 ... 255, as large as the input."""
    size, channels = model.input_shape[1], model.input_shape[-1]
    blocks = np.random.default_rng(seed).uniform(
        0, 255, (count, 4, 4, channels)
    )
    edge = -(-size // 4)
    pixels = blocks.repeat(edge, axis=1).repeat(edge, axis=2)
    return pixels[:, :size, :size].astype("float32")


def halves(model, seed=2):
    """layer key -> random bool array (channels,), half of it True.

    Of every layer with a kernel but the last, which makes the outputs.
    """
    generator = np.random.default_rng(seed)
    found = [x for x in rrelu_tf.profile(model).layers if x.kind in _KINDS]
    return {
        layer.key: generator.permutation(layer.output_shape[-1]) % 2 == 0
        for layer in found[:-1]
    }


def left(keep, small):
    """layer key -> indices of masked channels that a small model computes."""
    kept = rrelu_tf.kept(small)
    return {
        key: np.intersect1d(np.flatnonzero(~stays), kept.get(key, []))
        for key, stays in keep.items()
    }


def difference(a, b, inputs):
    """Largest difference of two models' outputs, over the largest of `a`.

    Raises:
        AssertionError: outputs of `a` that prove little: they are not finite,
            or alike for all inputs.
    """
    x, y = (
        np.asarray(model(inputs, training=False), "float64") for model in (a, b)
    )
    if not np.isfinite(x).all():
        raise AssertionError(f"{a.name} makes numbers that are not finite.")
    if not np.ptp(x, axis=0).max() > 1e-4 * np.abs(x).max():
        raise AssertionError(f"{a.name}'s outputs hardly tell inputs apart.")
    return float(np.abs(x - y).max() / np.abs(x).max())


def measure(name):
    """The table's row of one constructor, as a dict."""
    source = create(name)  # stays: strip could reuse what it would free
    keep = halves(source)
    before = rrelu_tf.profile(source)
    model = masked(source, keep)
    small, cost = memory.cost(lambda: rrelu_tf.strip(model))
    after = rrelu_tf.profile(small)
    stays = {
        key: which for key, which in left(keep, small).items() if which.size
    }
    channels = sum(int((~stays).sum()) for stays in keep.values())
    remain = sum(which.size for which in stays.values())
    gathers = [x for x in small.layers if type(x).__name__ == "ChannelGather"]
    return {
        "model": name,
        "input": model.input_shape[1],
        "layers": len(before.layers),
        "params_before": before.params,
        "params_after": after.params,
        "macs_before": before.macs,
        "macs_after": after.macs,
        "masked_channels": channels,
        "gone_percent": round(100 * (1 - remain / channels), 3),
        "stays": "; ".join(f"{key}: {w.size}" for key, w in stays.items()),
        "gathers": len(gathers),
        "relative_difference": float(
            f"{difference(model, small, images(model, 2)):.2g}"
        ),
        "weights_mib": round(4 * before.params / 2**20, 1),
        "peak_rise_mib": round(cost.rise_mib, 1),
    }


def in_own_process(script, *arguments):
    """The dict that a script prints as JSON in its last line.

    `{"error": ...}` if it fails: the last line that it wrote to stderr.
    """
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.splitlines() or [""])[-1]
        return {"error": f"exit code {done.returncode}: {last}"}
    return json.loads(done.stdout.splitlines()[-1])


def write(path, rows):
    """Rows (dicts) as CSV, with the columns of all of them."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)


def read(path):
    """The rows that `write` wrote; none if there is no file."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def show(rows, title):
    """Prints rows (dicts) as a table."""
    columns = dict.fromkeys(column for row in rows for column in row)
    table = Table(*(column.replace("_", " ") for column in columns))
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    print(f"{title}\n{text.render(table)}")


def main(_):
    """Measures, prints and writes the table."""
    if flags.FLAGS.model:
        print(json.dumps(measure(flags.FLAGS.model)))
        return
    path = RESULTS / "applications.csv"
    rows = {row["model"]: row for row in read(path)}
    for name in flags.FLAGS.only or constructors():
        row = in_own_process(__file__, f"--model={name}")
        rows[name] = {"model": name, **row}
        write(path, [rows[n] for n in constructors() if n in rows])
        print(rows[name], flush=True)
    show(list(rows.values()), "strip on keras.applications, half masked")


if __name__ == "__main__":
    flags.DEFINE_string("model", None, "Measures this one, here.")
    flags.DEFINE_list("only", None, "These alone; all when not given.")
    app.run(main)
