"""strip beside Torch-Pruning 1.6.1, on every keras.applications constructor.

    python benchmarks/against_torch_pruning.py [--torch_python=PYTHON]

Torch-Pruning runs in its own environment (`torch_pruning_side.py`): that of
`--torch_python`, else one that is made in `.venv/torch_pruning` by pip, once.
Both get random weights and statistics, never trained ones, and take away half
of the channels of every layer that they can. Each architecture, and each tool,
has a process of its own, of one thread, and they take turns, round by round;
what torchvision does not have gets our row alone.
Columns, ours and theirs:

- difference: stripped against masked, the largest over the largest output, in
  float64. Theirs is masked by zeroing the channels that it removed.
- reachable: share of the output channels of convolutions (depthwise ones too)
  and linear layers, the output layer apart, that can be removed.
- coupled: share of them that go only together with channels of another layer
  (those of a depthwise one do not count as others).
- gathers: how many the stripped model has, the price of coupling nothing.
- cpu_s, wall_s: user + system, and by the clock, medians of seven rounds. Ours
  takes a model that is masked; theirs includes tracing, and the scores.
- clone_cpu_s, clone_wall_s: of Keras's own `clone_model`, which makes as many
  layers anew, after ours in each round.
- peak_rise_mib: over what was resident before. Ours is a new model beside the
  source; theirs changes the model in place.

Writes `benchmarks/results/against_torch_pruning.csv` as it goes (`--only`
replaces the rows it names; `--times` only what rows cost, which must be there).
"""

import pathlib
import statistics
import subprocess
import sys
import venv

import applications
import keras
import memory
import rounds
import tensorflow as tf
from absl import app, flags

import rrelu_tf

_HERE = pathlib.Path(__file__).resolve().parent
_FILE = "against_torch_pruning.csv"
_ROUNDS = 7
_SECONDS = ("cpu_s", "wall_s", "clone_cpu_s", "clone_wall_s")
_TWINS = {  # keras.applications -> torchvision, input size
    "ResNet50": ("resnet50", 224),
    "DenseNet121": ("densenet121", 224),
    "MobileNetV2": ("mobilenet_v2", 224),
    "MobileNetV3Small": ("mobilenet_v3_small", 224),
    "EfficientNetB0": ("efficientnet_b0", 224),
    "VGG16": ("vgg16", 224),
    "InceptionV3": ("inception_v3", 299),
    "ConvNeXtTiny": ("convnext_tiny", 224),
    "ResNet101": ("resnet101", 224),
    "ResNet152": ("resnet152", 224),
    "DenseNet169": ("densenet169", 224),
    "DenseNet201": ("densenet201", 224),
    "MobileNetV3Large": ("mobilenet_v3_large", 224),
    "EfficientNetB1": ("efficientnet_b1", 240),
    "EfficientNetB2": ("efficientnet_b2", 260),
    "EfficientNetB3": ("efficientnet_b3", 300),
    "EfficientNetB4": ("efficientnet_b4", 380),
    "EfficientNetB5": ("efficientnet_b5", 456),
    "EfficientNetB6": ("efficientnet_b6", 528),
    "EfficientNetB7": ("efficientnet_b7", 600),
    "EfficientNetV2S": ("efficientnet_v2_s", 384),
    "EfficientNetV2M": ("efficientnet_v2_m", 480),
    "EfficientNetV2L": ("efficientnet_v2_l", 480),
    "VGG19": ("vgg19", 224),
    "ConvNeXtSmall": ("convnext_small", 224),
    "ConvNeXtBase": ("convnext_base", 224),
    "ConvNeXtLarge": ("convnext_large", 224),
}


def serve(name):
    """Plays the rounds of our side of one architecture."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = applications.create(name)
    keep = applications.halves(model)
    masked = applications.masked(model, keep)
    costs, clones, last = [], [], {}

    def play():
        last["small"], cost = memory.cost(lambda: rrelu_tf.strip(masked))
        costs.append(cost)
        _, cost = memory.cost(lambda: keras.models.clone_model(masked))
        clones.append(cost)

    def finish():
        median = statistics.median
        checked = {}
        if not flags.FLAGS.times:
            checked = check(model, keep, masked, last["small"])
        return {
            **checked,
            "cpu_s": median(cost.cpu_s for cost in costs),
            "wall_s": median(cost.wall_s for cost in costs),
            "clone_cpu_s": median(cost.cpu_s for cost in clones),
            "clone_wall_s": median(cost.wall_s for cost in clones),
            "peak_rise_mib": costs[0].rise_mib,
        }

    rounds.serve(play, finish)


def check(model, keep, masked, small):
    """What strip made, and what it can make, as a dict."""
    stays = applications.left(keep, small)
    # The other half, to know of every channel.
    others = {key: ~those for key, those in keep.items()}
    small_others = rrelu_tf.strip(rrelu_tf.mask(model, others))
    stays_others = applications.left(others, small_others)
    total = sum(those.size for those in keep.values())
    left = sum(x.size for s in (stays, stays_others) for x in s.values())
    return {
        "difference": rrelu_tf.verify(masked, small, samples=1).relative,
        "reachable": 1 - left / total,
        "coupled": left / total,  # masked alone, and could not go alone
        "gathers": sum(
            type(layer).__name__ == "ChannelGather" for layer in small.layers
        ),
    }


def torch_python():
    """The Python that has Torch-Pruning."""
    if flags.FLAGS.torch_python:
        return flags.FLAGS.torch_python
    folder = _HERE.parent / ".venv" / "torch_pruning"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        wanted = ("torch", "torchvision", "torch-pruning==1.6.1")
        install = [python, "-m", "pip", "install", "--quiet", *wanted]
        subprocess.run(install, check=True)
    return str(python)


def row(name, tool, made, old):
    """A tool's row of the table; `old` has what was not checked again."""
    if "error" in made:
        return {"model": name, "tool": tool, "handled": made["error"]}
    checked = (
        {
            "model": name,
            "tool": tool,
            "handled": "yes" if made["difference"] <= 1e-10 else "not equal",
            "difference": f"{made['difference']:.1e}",
            "reachable": f"{made['reachable']:.3f}",
            "coupled": f"{made['coupled']:.3f}",
            "gathers": made.get("gathers", ""),
        }
        if "difference" in made
        else old
    )
    return {
        **checked,
        **{
            column: f"{made[column]:.2f}" if column in made else ""
            for column in _SECONDS
        },
        "peak_rise_mib": f"{made['peak_rise_mib']:.0f}",
    }


def main(_):
    """Measures, prints and writes the table."""
    if flags.FLAGS.model:
        serve(flags.FLAGS.model)
        return
    theirs, python = str(_HERE / "torch_pruning_side.py"), torch_python()
    path = applications.RESULTS / _FILE
    rows = {(old["model"], old["tool"]): old for old in applications.read(path)}
    for name in flags.FLAGS.only or _names():
        sides = {"rrelu_tf": [sys.executable, __file__, f"--model={name}"]}
        if name in _TWINS:
            twin = [str(about) for about in _TWINS[name]]
            sides["Torch-Pruning 1.6.1"] = [python, theirs, *twin]
        if flags.FLAGS.times:
            sides = {tool: [*side, "--times"] for tool, side in sides.items()}
        for tool, made in rounds.by_turns(sides, _ROUNDS).items():
            rows[name, tool] = row(name, tool, made, rows.get((name, tool)))
            print(rows[name, tool], flush=True)
        applications.write(path, _ordered(rows))
    applications.show(_ordered(rows), "Half of the channels, random weights")


def _names():
    """Every constructor, those with a twin first."""
    names = applications.constructors()
    return [*_TWINS, *(name for name in names if name not in _TWINS)]


def _ordered(rows):
    """The rows measured so far, architecture by architecture."""
    return sorted(rows.values(), key=lambda row: _names().index(row["model"]))


if __name__ == "__main__":
    flags.DEFINE_string("torch_python", None, "A Python with Torch-Pruning.")
    flags.DEFINE_string("model", None, "Measures our side of this one, here.")
    flags.DEFINE_bool("times", False, "Measures what it costs alone.")
    flags.DEFINE_list("only", None, "These alone; all when not given.")
    app.run(main)
