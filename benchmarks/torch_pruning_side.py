"""Torch-Pruning's side of `against_torch_pruning.py`, run in its environment.

    python benchmarks/torch_pruning_side.py resnet50 224

As its README says: `BasePruner` with `GroupMagnitudeImportance(p=2)`, the
1000-way output layer ignored, ratio 0.5, no rounding. Beside the pruned model
goes a copy in which the same channels of the same layers are set to zero.
Prints a JSON object.
"""

import copy
import json
import statistics
import sys

import memory
import torch
import torch_pruning
import torchvision
from torch import nn

_ROUNDS = 3
_KERNELS = (nn.Conv2d, nn.Linear)


def create(name):
    """A torchvision model with random weights and statistics, in eval mode."""
    torch.manual_seed(0)
    options = {}
    if name == "inception_v3":  # keras.applications has no auxiliary head
        options = {"aux_logits": False, "init_weights": True}
    model = torchvision.models.get_model(name, weights=None, **options)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.4, 1.1)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.4, 1.1)
        if isinstance(module, _KERNELS) and module.bias is not None:
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
        come and go together, depthwise layers not counted as such; groups).
    """
    pruner, ignored = pruner_of(model, example)
    reached, coupled, count = {}, {}, 0
    for group in pruner.DG.get_all_groups(ignored_layers=ignored):
        count += 1
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
        count,
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


@torch.no_grad()
def difference(masked, small, example):
    """Largest difference over the largest output, in float64."""
    a, b = (model.double()(example.double()) for model in (masked, small))
    if not a.isfinite().all():
        raise AssertionError("The masked model's outputs are not finite.")
    return float((a - b).abs().max() / a.abs().max())


def measure(name, size):
    """The row of one architecture, as a dict."""
    model = create(name)
    example = torch.randn(1, 3, size, size)
    before = sum(p.numel() for p in model.parameters())
    costs = []
    for _ in range(_ROUNDS):
        small = copy.deepcopy(model)
        names = {module: key for key, module in small.named_modules()}
        cost = memory.cost(lambda small=small: prune(small, example))
        costs.append(cost)
    masked = copy.deepcopy(model)
    widths = {
        key: module.weight.shape[0]
        for key, module in model.named_modules()
        if getattr(module, "weight", None) is not None
    }
    zero(masked, costs[-1][0], names, widths)
    after = sum(p.numel() for p in small.parameters())
    reached, coupled, groups = reach(copy.deepcopy(model), example)
    return {
        "params_before": before,
        "params_after": after,
        "difference": difference(masked, small, example),
        "reachable": reached,
        "coupled": coupled,
        "groups": groups,
        "seconds": statistics.median(seconds for _, seconds, _ in costs),
        "peak_rise_mib": costs[0][2],
        "versions": f"torch {torch.__version__}, torch-pruning 1.6.1",
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
