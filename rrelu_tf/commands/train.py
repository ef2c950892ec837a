"""Trains a network with rotated activations; the same command goes on.

    bin/train --arch=wrn_40_4 --activation=rrelu

trains on the embedded digits. Stopped or killed, the same command goes on from
the last whole epoch. With --prune it prunes in rounds afterwards, as bin/prune:

    bin/train --arch=vgg13 --activation=relu --orthoreg=0.01 --weight_decay=0 \\
        --prune --score=orthoreg --sparsity=0.8 --rounds=5

Exit codes: 0 done; 2 a mistake in what was given, or a
loss that is not finite; 130 stopped by SIGINT; 143 stopped by SIGTERM.
"""

import dataclasses
import math
import os
import pathlib
import re
import sys

from absl import flags

from rrelu_tf.commands import (
    entry,
    pruning_rounds,
    termination,
    train_flags,
)
from rrelu_tf.errors import UserError, WorkerLost
from rrelu_tf.training.recipe import (
    CACHES,
    EARLY_BIRDS,
    OF_THE_START,
    PRECISIONS,
    PROTOCOLS,
    Recipe,
)

FLAGS = flags.FlagValues()


def main(argv=None):
    """Runs the command; returns its exit code.

    A worker that lost another one starts again, to wait for it: TensorFlow
    cannot connect a process twice. Called with `argv`, it raises `WorkerLost`.
    """
    try:
        return entry.run(FLAGS, _call, argv)
    except WorkerLost as lost:
        if argv is not None:
            raise
        print(f"{lost}; waiting for it. {_GO_ON.capitalize()}", flush=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _call(values):
    recipe = _recipe(values)
    plan = train_flags.plan(values, recipe)
    _check_workers(values)
    if values.run == "":
        raise UserError("run must be the path of a folder. Received: run=")
    path = values.run or _default_run(recipe, values.pretrained)
    return termination.run(lambda: _train(values, recipe, path, plan), _GO_ON)


def _train(values, recipe, path, plan):
    from rrelu_tf.training import trainer

    if plan is not None:
        pruning_rounds.train(values, recipe, path, plan)
        return
    where = {"data_dir": values.data_dir, "download": values.download}
    timeout = values.peer_timeout
    trainer.train(recipe, path, peer_timeout=timeout, **where)


def _check_workers(values):
    if not 0 <= values.peer_timeout < math.inf:
        raise UserError(
            "peer_timeout must be a finite number of seconds, at least 0. "
            f"Received: peer_timeout={values.peer_timeout}"
        )
    if values.strategy == "multiworker" and values.prune:
        raise UserError(
            "One process prunes what several have trained: leave --prune out, "
            "and give bin/prune the run. Received: prune=True"
        )


_GO_ON = (
    "the same command goes on from the last whole epoch; what was done of the "
    "current epoch is lost"
)


def _recipe(values):
    for name in OF_THE_START:
        if values.start and values[name].present:
            raise UserError(
                f"{name} is that of the model to start from. "
                f"Received: {name}={values[name].value}"
            )
    names = {field.name for field in dataclasses.fields(Recipe)}
    chosen = {name: values[name].value for name in names}
    used = values.orthoreg or values.early_bird != "none"
    if values.prune and not used:  # it is that of pruning alone
        chosen["protocol"] = Recipe.protocol
    try:
        milestones = tuple(int(text) for text in values.milestones)
    except ValueError as error:
        raise UserError(
            "milestones must be whole numbers between commas. "
            f"Received: milestones={','.join(values.milestones)}"
        ) from error
    lists = {
        "milestones": milestones,
        "arch_options": tuple(values.arch_options),
    }
    return train_flags.one_net(values, Recipe(**chosen | lists))


def _default_run(recipe, pretrained):
    """`runs/<dataset>-<network>-<activation>[-<variant>]-seed<seed>`."""
    # A data set may be a folder, whose last name stands for it.
    dataset = pathlib.PurePath(recipe.dataset).name
    network = recipe.arch
    if recipe.start:
        parts = pathlib.PurePath(recipe.start).with_suffix("").parts[-3:]
        network = "-".join(["from", *(p for p in parts if p != "runs")])
    variants = [name for name, used in _VARIANTS.items() if used(recipe)]
    variants += ["pretrained"] if pretrained else []
    parts = [dataset, network, recipe.activation, *variants]
    name = "-".join([*parts, f"seed{recipe.seed}"])
    return pathlib.Path("runs", re.sub(r"[^\w.-]", "_", name))


# What tells runs of one network and activation apart by name.
_VARIANTS = {
    "l1": lambda recipe: recipe.slope_l1,
    "slimming": lambda recipe: recipe.gamma_l1,
    "ortho": lambda recipe: recipe.orthoreg,
    "two_step": lambda recipe: recipe.two_step_epochs,
    "early_bird": lambda recipe: recipe.early_bird != "none",
}


def _define(define, name, help):
    define(name, getattr(Recipe, name), help, flag_values=FLAGS)


_STRING, _FLOAT = flags.DEFINE_string, flags.DEFINE_float
_INTEGER, _BOOLEAN = flags.DEFINE_integer, flags.DEFINE_boolean

_define(
    _STRING,
    "arch",
    "Architecture: resnet20, wrn_40_4, vit_tiny, ...; an unknown one gets the "
    "list of all.",
)
flags.DEFINE_list(
    "arch_options",
    [],
    "The architecture's own options: patch_size=4 (vit, mixer), depth=6 (vit), "
    "dropout=0.2, stochastic_depth=0.1 (efficientnet), bn_first=1 (vgg), "
    "width=0.5 (resnet8 ... resnet110_b).",
    flag_values=FLAGS,
)
_define(
    _STRING,
    "activation",
    "relu, gelu, silu, or the rotated rrelu, rgelu, rsilu.",
)
_define(
    _STRING,
    "dataset",
    "digits (embedded), a TFDS name (mnist, cifar10, ...), or a folder with "
    "train/ and test/.",
)
_define(
    _INTEGER,
    "image_size",
    "Side of the images, where they differ in size.",
)
_define(
    _STRING,
    "augmentation",
    "Augmentation of the training images; auto: the data set's own.",
)
_define(
    _STRING,
    "normalization",
    "Mean and deviation to normalise by; auto: the data set's own.",
)
flags.DEFINE_enum(
    "cache",
    Recipe.cache,
    CACHES,
    "Decoded images: kept in memory, on disk (in XDG_CACHE_HOME or ~/.cache, "
    "for later runs, too), or none, decoded in every epoch; auto: in memory up "
    "to 1 GiB.",
    flag_values=FLAGS,
)
_define(
    _FLOAT,
    "validation_split",
    "Share of train held out to choose the best epoch on; with 0 the last "
    "epoch is the best.",
)
_define(
    _INTEGER,
    "batch_size",
    "Images a step, over all devices together.",
)
_define(
    _INTEGER,
    "epochs",
    "Epochs of the whole run.",
)
_define(
    _STRING,
    "optimizer",
    "sgd or adam.",
)
_define(
    _FLOAT,
    "learning_rate",
    "Learning rate that the schedule starts from.",
)
_define(
    _STRING,
    "schedule",
    "constant, cosine_epoch, cosine_step or multistep.",
)
_define(
    _INTEGER,
    "warmup_epochs",
    "Epochs of linear warm-up.",
)
flags.DEFINE_list(
    "milestones",
    [],
    "Epochs after which multistep multiplies the learning rate by gamma.",
    flag_values=FLAGS,
)
_define(
    _FLOAT,
    "gamma",
    "Factor of the learning rate at each milestone.",
)
_define(
    _FLOAT,
    "momentum",
    "Momentum of SGD.",
)
_define(
    _BOOLEAN,
    "nesterov",
    "Nesterov momentum.",
)
_define(
    _FLOAT,
    "weight_decay",
    "Coupled weight decay, on every weight.",
)
_define(
    _FLOAT,
    "slope_decay",
    "Factor of the slopes' weight decay.",
)
_define(
    _FLOAT,
    "slope_learning_rate",
    "Factor of the slopes' learning rate.",
)
_define(
    _FLOAT,
    "slope_l1",
    "L1 penalty on the slopes.",
)
_define(
    _FLOAT,
    "gamma_l1",
    "L1 penalty on the scales of batch normalisations: network slimming.",
)
_define(
    _FLOAT,
    "orthoreg",
    "OrthoReg penalty on convolutions: filters are drawn to orthonormality. "
    "The authors take 0.01, for MobileNet-V1 0.001, and no weight decay. "
    "0: off.",
)
flags.DEFINE_enum(
    "protocol",
    Recipe.protocol,
    PROTOCOLS,
    "seed: OrthoReg, and with --prune scores and choice of channels, as the "
    "authors' code has them for their nets, mistakes included.",
    flag_values=FLAGS,
)
_define(
    _INTEGER,
    "two_step_epochs",
    "Train in two steps: so many of the epochs the slopes alone, on random "
    "weights; then the weights alone, with the slopes of the last of these "
    "epochs (the authors: of the best on the test set), those up to "
    "--two_step_zeta silent. 0: all at once.",
)
_define(
    _FLOAT,
    "two_step_zeta",
    "|slope| up to which the second step silences a channel.",
)
flags.DEFINE_enum(
    "early_bird",
    Recipe.early_bird,
    EARLY_BIRDS,
    "Stop at the early-bird ticket: after --early_bird_epochs (fixed), or once "
    "the masks of 5 epochs differ in less than a tenth of the channels "
    "(distance). bin/prune then prunes it.",
    flag_values=FLAGS,
)
_define(
    _STRING,
    "early_bird_score",
    "What its channels are judged by: bn, orthoreg, fisher, slope or another "
    "of rrelu_tf.score.",
)
_define(
    _FLOAT,
    "early_bird_sparsity",
    "Share of the channels that its mask takes.",
)
_define(
    _INTEGER,
    "early_bird_epochs",
    "Epochs until a fixed ticket.",
)
_define(
    _STRING,
    "start",
    "A .keras file, or a run's folder, to go on from: a pruned model to "
    "fine-tune, or any model, "
    "which a rotated --activation rotates with slopes of 1.",
)
_define(
    _FLOAT,
    "label_smoothing",
    "Label smoothing.",
)
flags.DEFINE_enum(
    "mixed_precision",
    Recipe.mixed_precision,
    PRECISIONS,
    "Type to compute in; weights stay float32.",
    flag_values=FLAGS,
)
_define(
    _BOOLEAN,
    "jit_compile",
    "Compile the step by XLA.",
)
_define(
    _INTEGER,
    "steps_per_execution",
    "Steps that run without a return to Python, for a GPU and small nets: they "
    "must divide an epoch's, and a signal waits for them. Of one replica.",
)
_define(
    _STRING,
    "strategy",
    "auto (all GPUs), none, mirrored, or multiworker: this process and the "
    "others that TF_CONFIG names, each started with the same flags.",
)
flags.DEFINE_float(
    "peer_timeout",
    300.0,
    "Seconds to wait for the other workers of multiworker, at the start and "
    "after one was lost.",
    flag_values=FLAGS,
)
_define(
    _INTEGER,
    "virtual_devices",
    "Split the CPU into this many devices, to try mirrored.",
)
_define(
    _BOOLEAN,
    "sync_batch_norm",
    "Batch statistics over all devices, not each device's own.",
)
_define(
    _BOOLEAN,
    "fused",
    "Run batch normalisations by TensorFlow's fused kernels, and slopes inside "
    "of convolutions; --nofused: by plain operations, equal up to rounding.",
)
_define(
    _INTEGER,
    "seed",
    "Seed of weights, order, augmentation and validation split.",
)
_define(
    _BOOLEAN,
    "deterministic",
    "Deterministic kernels: a resumed run ends bit for bit like an "
    "uninterrupted one, on a GPU too (slower there). With --jit_compile it "
    "is up to XLA.",
)
_define(
    _FLOAT,
    "monitor_zeta",
    "|slope| above which metrics and logs count a channel as alive.",
)
flags.DEFINE_string(
    "data_dir", None, "Where the data set lies.", flag_values=FLAGS
)
flags.DEFINE_boolean(
    "download",
    False,
    "Fetch the data set if it is not there.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "run",
    None,
    "The run's folder; default runs/<dataset>-<arch>-<activation>-seed<seed>, "
    "with -l1, -slimming, -ortho, -two_step, -early_bird or -pretrained where "
    "they are used.",
    flag_values=FLAGS,
)
train_flags.define(FLAGS)
