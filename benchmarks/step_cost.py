"""A training step on paper and, where it can be run, on the clock.

    python benchmarks/step_cost.py --device=cpu --batch=8 --nojit_compile
    python benchmarks/step_cost.py --device=h100
    python benchmarks/step_cost.py --device=h100 --devices=8

Predicts what bounds a step of WRN-40-4 (batch 128, 32 x 32) and of ResNet-50
(batch 64, 224 x 224; `--nets` takes others), with and without what a compiler
fuses, in float32 (H100: TF32) and bfloat16, and how it goes with more devices
on the device's link and on Ethernet. `rrelu_tf.analysis.step_cost` has the
counting and what it leaves out.

With `--device=cpu` a device is one core, its time is CPU time (user + system,
the wall clock beside it), and its peak and bandwidth are measured first, by a
product and a copy. An H100's are its data sheet's, any other GPU's are given:
`--device=gpu --data_sheet=156e12,312e12,2.0e12,300e9` is an A100. Where there
are as many GPUs as `--devices`, the step itself is run (`--steps` times, the
median counts; jit_compile where it is fused; several by MirroredStrategy) and
stands beside the prediction; how it goes with more devices is then computed
from the step of one. `--nofused_layers` is of `models.create(fused=False)`.

Writes `benchmarks/results/step_cost.csv`, where a row takes the place of its
like; `measured_ms` is that of the last step that was run, if one was.
"""

import itertools
import sys

import applications
import clock
import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from rich.table import Table

from rrelu_tf import models
from rrelu_tf.analysis import text
from rrelu_tf.analysis.step_cost import Device, exchanged, step_cost

# NVIDIA's data sheet of the H100 SXM5: TF32 and bfloat16 on tensor cores,
# without sparsity; HBM3; NVLink 4, each way.
H100 = 494e12, 989e12, 3.35e12, 450e9
LAUNCH = 4e-6  # seconds, a common figure
ETHERNET = {"100 Gbit/s": 12.5e9, "25 Gbit/s": 3.1e9, "1 Gbit/s": 0.125e9}
NETS = {
    "wrn_40_4": ((32, 32, 3), 128),
    "resnet50": ((224, 224, 3), 64),
    "resnet20": ((32, 32, 3), 128),
}

PATH = applications.RESULTS / "step_cost.csv"
KEY = (
    *("device", "devices", "net", "activation", "layers", "batch", "dtype"),
    "fused",
)
MEASURED = ("measured_ms", "measured_wall_ms")

DEVICE = flags.DEFINE_enum("device", "cpu", ["cpu", "h100", "gpu"], "On what.")
DATA_SHEET = flags.DEFINE_list(
    "data_sheet",
    [],
    "Of --device=gpu: operations a second in float32 (TF32) and in bfloat16, "
    "bytes a second of its memory, and of its link to the others.",
)
DEVICES = flags.DEFINE_integer("devices", 1, "How many.", lower_bound=1)
CHOSEN = flags.DEFINE_list("nets", ["wrn_40_4", "resnet50"], "Architectures.")
ACTIVATION = flags.DEFINE_string("activation", "rrelu", "Of the nets.")
FUSED_LAYERS = flags.DEFINE_bool("fused_layers", True, "`models.create`'s.")
BATCH = flags.DEFINE_integer(
    "batch", 0, "Examples a device; 0: what is usual for the net.", 0
)
STEPS = flags.DEFINE_integer("steps", 7, "Steps that are timed; 0: none.")
JIT_COMPILE = flags.DEFINE_bool("jit_compile", True, "Times fused steps, too.")


def main(argv):
    """Prints a table per net, and writes them."""
    del argv
    on_cpu = DEVICE.value == "cpu"
    if on_cpu:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    devices = {"float32": measured_cpu()} if on_cpu else gpu()
    check_gpu()
    rows = {key_of(row): row for row in applications.read(PATH)}
    for name in CHOSEN.value:
        shape, usual = NETS[name]
        batch = BATCH.value or usual
        table = Table(
            *("dtype", "fused", "products", "memory", "launches", "bound"),
            *("step, ms", "images/s", "measured, ms", "by the clock"),
            title=f"{name}, {ACTIVATION.value}, batch {batch} a device, "
            f"{DEVICES.value} x {DEVICE.value}",
        )
        paper, clock = [], []
        for (dtype, device), fused in itertools.product(
            devices.items(), (False, True)
        ):
            size = np.dtype(dtype).itemsize
            cost = step_cost(
                create(name, shape), batch, fused=fused, element_bytes=size
            )
            measured = ("", "")
            if is_there() and (JIT_COMPILE.value or not fused):
                cpu, wall = timed(name, shape, batch, dtype, fused)
                seconds = cpu if on_cpu else wall
                measured = f"{1000 * seconds:.1f}", f"{1000 * wall:.1f}"
                clock += [seconds] if DEVICES.value == 1 else []
            found = cost.seconds(device, DEVICES.value)
            paper.append(cost.seconds(device)["step"])
            row = dict(zip(KEY, keys(name, batch, dtype, fused), strict=True))
            row.update(columns(found, batch * DEVICES.value))
            row["gradient_mib"] = f"{cost.gradient_bytes / 2**20:.1f}"
            known = rows.get(key_of(row), {})
            for column, value in zip(MEASURED, measured, strict=True):
                row[column] = value or known.get(column, "")
            rows[key_of(row)] = row
            table.add_row(
                *(dtype, row["fused"]),
                *columns(found, batch * DEVICES.value).values(),
                *measured,
            )
        applications.write(PATH, [*rows.values()])
        show(table)
        print(f"gradients: {cost.gradient_bytes / 2**20:.1f} MiB")
        for how, steps in (("on paper", paper), ("as measured", clock)):
            if steps:
                title = f"{name}: ms a step, that of one device {how}"
                scaling(title, min(steps), cost.gradient_bytes, device.link)


def gpu():
    """dict: dtype -> `Device`, of the data sheet."""
    given = H100 if DEVICE.value == "h100" else DATA_SHEET.value
    try:
        sheet = [float(number) for number in given]
    except ValueError:
        sheet = []
    if len(sheet) != 4 or min(sheet) <= 0:
        sys.exit(
            "error: --device=gpu needs four numbers above 0 of its data sheet. "
            f"Received: data_sheet={','.join(DATA_SHEET.value)}"
        )
    single, half, memory, link = sheet
    return {
        "float32": Device(single, memory, LAUNCH, link),
        "bfloat16": Device(half, memory, LAUNCH, link),
    }


def check_gpu():
    """Steps of another GPU are no measure of what an H100 is to take."""
    for one in gpus() if DEVICE.value == "h100" and is_there() else []:
        details = tf.config.experimental.get_device_details(one)
        name = details.get("device_name", one.name)
        if "H100" not in name:
            sys.exit(
                "error: of another GPU say --device=gpu and its --data_sheet, "
                f"or --steps=0 to run none. Received: GPU={name}"
            )


def gpus():
    """What TensorFlow sees."""
    return tf.config.list_physical_devices("GPU")


def is_there():
    """Whether steps can be run, and are to be."""
    there = 1 if DEVICE.value == "cpu" else len(gpus())
    return STEPS.value > 0 and DEVICES.value <= there


def keys(name, batch, dtype, fused):
    """Of `KEY`, as text."""
    fixed = DEVICE.value, str(DEVICES.value), name, ACTIVATION.value
    layers = "fused" if FUSED_LAYERS.value else "plain"
    if DEVICE.value == "gpu":
        fixed = " ".join(["gpu", *DATA_SHEET.value]), *fixed[1:]
    return *fixed, layers, str(batch), dtype, "yes" if fused else "no"


def key_of(row):
    """What a row is about."""
    return tuple(row[column] for column in KEY)


def columns(found, images):
    """What `StepCost.seconds` found, as text: a dict."""
    bounds = ("products", "memory", "launches")
    return {
        **{f"{part}_ms": f"{1000 * found[part]:.2f}" for part in bounds},
        "bound": found["bound"],
        "step_ms": f"{1000 * found['step']:.2f}",
        "images_per_s": f"{images / found['step']:,.0f}",
    }


def create(name, shape):
    """A net with new weights."""
    return models.create(
        name,
        num_classes=1000 if shape[0] > 64 else 10,
        input_shape=shape,
        activation=ACTIVATION.value,
        fused=FUSED_LAYERS.value,
    )


def scaling(title, alone, gradient_bytes, own_link):
    """Step time and efficiency of 1 to 64 devices, by link."""
    counts = (1, 2, 4, 8, 16, 32, 64)
    table = Table("link", *map(str, counts), title=title)
    links = {"the device's": own_link, **ETHERNET}
    for link, speed in links.items():
        steps = [exchanged(alone, gradient_bytes, speed, n)[1] for n in counts]
        table.add_row(
            link, *(f"{1000 * s:.1f} ({alone / s:.0%})" for s in steps)
        )
    show(table)


def show(table):
    """Prints a table, as wide as it needs to be, below its title."""
    title, table.title = table.title, None
    print(f"{title}\n{text.render(table)}")


def measured_cpu():
    """What this CPU reaches in a product and in a copy; launches are free."""
    side, count = 1024, 2**25
    a = tf.random.normal((side, side))
    b = tf.random.normal((count,))
    product, _ = _medians(lambda: tf.linalg.matmul(a, a), 7)
    copy, _ = _medians(lambda: b + 1.0, 7)
    return Device(
        2 * side**3 / product, 8 * count / copy, 0.0, efficiency=(1, 1)
    )


def timed(name, shape, batch, dtype, fused):
    """(CPU, wall-clock) seconds of a training step: medians of `--steps`."""
    keras.backend.clear_session()  # of the steps before
    policy = "mixed_bfloat16" if dtype == "bfloat16" else dtype
    draw = np.random.default_rng(0)
    images = tf.constant(draw.normal(size=(batch, *shape)), tf.float32)
    labels = tf.constant(np.arange(batch) % 10)
    strategy = tf.distribute.get_strategy()
    if DEVICES.value > 1:
        names = [f"GPU:{number}" for number in range(DEVICES.value)]
        strategy = tf.distribute.MirroredStrategy(names)
    keras.config.set_dtype_policy(policy)
    with strategy.scope():
        model = create(name, shape)
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=fused,
        )
    keras.config.set_dtype_policy("float32")
    # Each replica takes a tensor as its own batch.
    return _medians(lambda: model.train_on_batch(images, labels), STEPS.value)


def _medians(call, repeats):
    """(CPU, wall-clock) seconds of a call, medians."""
    call(), call()  # trace and warm up
    times = []
    for _ in range(repeats):
        times.append(clock.timed(lambda: np.asarray(call()))[1])
    return tuple(map(float, np.median(times, axis=0)))


if __name__ == "__main__":
    app.run(main)
