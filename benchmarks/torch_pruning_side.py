"""Torch-Pruning's side of `against_torch_pruning.py`, run in its environment.

    python benchmarks/torch_pruning_side.py resnet50 224 [--times]

As its README says: `BasePruner` with `GroupMagnitudeImportance(p=2)`, the
1000-way output layer ignored, ratio 0.5, no rounding. Beside the pruned model
goes a copy in which the same channels of the same layers are set to zero.
Rounds come by `rounds.py`, in one thread: several also count the time in which
they wait for each other.
"""

import copy
import statistics
import sys
from importlib import metadata

import memory
import rounds
import torch
import torch_pruning
import torchvision
from torch import nn

_KERNELS = (nn.Conv2d, nn.Linear)


def create(name):
    """A torchvision model with random weights and statistics, in eval mode."""
    torch.manual_seed(0)
    options = {}
    if name == "inception_v3":  # keras.applications has no auxiliary head
        options = {"aux_logits": False, "init_weights": False}
    model = torchvision.models.get_model(name, weights=None, **options)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.4, 1.1)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.4, 1.1)
        if isinstance(module, _KERNELS):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.5, 0.5)
    for parameter_name, parameter in model.named_parameters():
        if parameter_name.endswith("layer_scale"):
            nn.init.uniform_(parameter, 0.4, 1.1)
    return model.eval()


def pruner_of(model, example):
    """The pruner, and the layers that it leaves alone."""
    ignored = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and module.out_features == 1000
    ]
    pruner = torch_pruning.pruner.BasePruner(
        model,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.5,
        ignored_layers=ignored,
    )
    return pruner, ignored


def prune(model, example):
    """Prunes; list of (module, indices in it as it was at that moment)."""
    pruner, _ = pruner_of(model, example)
    removed = []
    for group in pruner.step(interactive=True):
        removed += _outputs(pruner, group)
        group.prune()
    return removed


def _outputs(pruner, group):
    """(module, output channels) of what a group takes away."""
    return [
        (dependency.target.module, sorted(set(indices)))
        for dependency, indices in group
        if pruner.DG.is_out_channel_pruning_fn(dependency.handler)
        and isinstance(dependency.target.module, nn.Module)
    ]


def reach(model, example):
    """What can be removed at all.

    Returns:
        (share of the conv and linear output channels, the output layer apart,
        that are in a group; share of them in groups of several layers, which
        come and go together, depthwise layers not counted as such).
    """
    pruner, ignored = pruner_of(model, example)
    reached, coupled = {}, {}
    for group in pruner.DG.get_all_groups(ignored_layers=ignored):
        kernels = [
            (module, indices)
            for module, indices in _outputs(pruner, group)
            if isinstance(module, _KERNELS)
        ]
        full = {module for module, _ in kernels if not _depthwise(module)}
        for module, indices in kernels:
            reached.setdefault(module, set()).update(indices)
            if len(full) > 1:
                coupled.setdefault(module, set()).update(indices)
    total = sum(_widths(model, ignored).values())
    return (
        sum(map(len, reached.values())) / total,
        sum(map(len, coupled.values())) / total,
    )


def _depthwise(module):
    return getattr(module, "groups", 1) > 1


def _widths(model, ignored=()):
    """Name -> output channels, of convolutions and linear layers."""
    return {
        name: module.weight.shape[0]
        for name, module in model.named_modules()
        if isinstance(module, _KERNELS) and module not in ignored
    }


@torch.no_grad()
def zero(model, removed, names, widths):
    """Sets to zero, in an unpruned copy, the channels that were removed.

    Each entry of `removed` counts in what was left of the layer by then.

    Returns:
        name -> the channels that are left, of each layer that lost some.
    """
    modules = dict(model.named_modules())
    left = {}
    for module, indices in removed:
        name = names.get(module)  # none of the tool's own nodes, such as adds
        if name not in widths:
            continue
        twin = modules[name]
        alive = left.setdefault(name, list(range(widths[name])))
        for at in indices:
            twin.weight[alive[at]] = 0
            if twin.bias is not None:
                twin.bias[alive[at]] = 0
        gone = set(indices)
        left[name] = [c for at, c in enumerate(alive) if at not in gone]
    return left


@torch.no_grad()
def settle(small, masked, left, inputs):
    """Gives both models statistics near those of their inputs.

    Others let the signal fade behind the offsets, layer by layer, until the
    outputs prove little.
    """
    modules = dict(masked.named_modules())
    norms = {
        name: module
        for name, module in small.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }
    for norm in norms.values():
        norm.momentum = 1.0
    small.train()(inputs)
    small.eval()
    for name, norm in norms.items():
        std = norm.running_var.sqrt()
        norm.running_mean += 0.3 * std * torch.randn_like(std)
        norm.running_var *= torch.empty_like(std).uniform_(0.7, 2.5)
        alive = left.get(name, list(range(len(std))))
        modules[name].running_mean[alive] = norm.running_mean
        modules[name].running_var[alive] = norm.running_var


@torch.no_grad()
def difference(masked, small, inputs):
    """Largest difference over the largest output, in float64."""
    a, b = (model.double()(inputs.double()) for model in (masked, small))
    if not a.isfinite().all():
        raise AssertionError("The masked model's outputs are not finite.")
    # Far above what float64 rounds, for nets of 80 layers and more.
    if not (a[0] - a[1]).abs().max() > 1e-5 * a.abs().max():
        raise AssertionError("The outputs hardly tell inputs apart.")
    return float((a - b).abs().max() / a.abs().max())


def serve(name, size, times=False):
    """Plays the rounds of one architecture; measures times alone."""
    model, example = create(name), torch.randn(1, 3, size, size)
    threads, costs, last = torch.get_num_threads(), [], {}
    torch.set_num_threads(1)

    def play():
        small = copy.deepcopy(model)
        names = {module: key for key, module in small.named_modules()}
        removed, cost = memory.cost(lambda: prune(small, example))
        costs.append(cost)
        last.update(small=small, names=names, removed=removed)

    def finish():
        torch.set_num_threads(threads)
        return {
            **({} if times else check(model, example, **last)),
            "cpu_s": statistics.median(cost.cpu_s for cost in costs),
            "wall_s": statistics.median(cost.wall_s for cost in costs),
            "peak_rise_mib": costs[0].rise_mib,
        }

    rounds.serve(play, finish)


def check(model, example, small, names, removed):
    """What the pruned model differs by, and what can be removed, as a dict."""
    masked = copy.deepcopy(model)
    widths = {
        key: module.weight.shape[0]
        for key, module in model.named_modules()
        if getattr(module, "weight", None) is not None
    }
    left = zero(masked, removed, names, widths)
    size = example.shape[-1]
    blocks = torch.rand(2, 3, -(-size // 8), -(-size // 8))
    pictures = blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)
    pictures = pictures[:, :, :size, :size]
    settle(small, masked, left, pictures)
    reached, coupled = reach(copy.deepcopy(model), example)
    return {
        "difference": difference(masked, small, pictures),
        "reachable": reached,
        "coupled": coupled,
    }


if __name__ == "__main__":
    found = metadata.version("torch-pruning")
    if found != "1.6.1":
        sys.exit(f"Torch-Pruning 1.6.1 is measured. Received: version={found}")
    serve(sys.argv[1], int(sys.argv[2]), times="--times" in sys.argv)
