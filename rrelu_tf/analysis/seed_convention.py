"""What the RReLU authors' scripts count as saved, and what really is."""

import difflib
import operator

from rrelu_tf.analysis.counted_nets import NETS
from rrelu_tf.errors import UserError


def seed_convention(arch, alive, num_classes=10):
    """Savings as the RReLU authors' scripts print them for a list of counts.

    Memory is conv and linear weights, without norms, biases and slopes;
    FLOPs are 2 a multiply-accumulate of the same layers (1 for the ImageNet
    nets, which leaves the percentage alone). Each conv counts alive inputs
    times alive outputs. For `resnet20` and `resnet56` that is what can go. The
    mistakes, all reproduced here:

    - Pre-activation nets (`resnet110_preact`, `resnet164_preact`, WRN): a dead
      first slope of a block takes the filters that write the residual stream,
      the stem's too, although the stream is read elsewhere. Not
      output-preserving, and up to twice too much.
    - WRN: two conventions in one row. Memory counts alive times alive; FLOPs
      count a block's last conv, and both count shortcuts, at full output width.
    - WRN: the shortcuts of stages 2 and 3 read the slopes *inside* the block
      (128 and 256 wide) in place of those before it (64 and 128). In
      `wrn_16_4` they also all run at 32 x 32, as if without strides.
    - `resnet164_preact`: the shortcuts' convs are left out.
    - `resnet50`, `wide_resnet50_2`: a shortcut counts as from the first inner
      width of its block to that of the next block, 64 x 64 for 64 x 256.
    - All bottlenecks: the first 1x1 conv of stages 2, 3, ... counts at the
      resolution behind the stride (the v1 layout), where the net has its
      stride in the 3x3 conv.
    - Two of the lists for CIFAR-100 were counted with 10 classes: they need
      `num_classes=10` to come out as printed.

    Args:
        arch: resnet20, resnet56, resnet110_preact, resnet164_preact, wrn_40_4,
            wrn_16_4, resnet50 or wide_resnet50_2.
        alive: for each slope vector in forward order, how many slopes are not
            zero. The authors' ImageNet lists are taken as they are, too: with
            the stem's 64 before and the number of classes behind.
        num_classes: width of the last layer.

    Returns:
        {"memory": percent saved, "flops": percent saved}, floats.

    Raises:
        UserError: an unknown architecture, or counts that it cannot have.
    """
    return _saved(_as_the_scripts, arch, alive, num_classes)


def exact_convention(arch, alive, num_classes=10):
    """Savings with the output unchanged, of a list of counts.

    Conv and linear weights, and 2 FLOPs a multiply-accumulate of theirs, as
    in `seed_convention`, but of the nets as they are (every shortcut, each
    conv at its own resolution) and only what may be removed:

    - Post-activation nets: a dead slope inside a block or behind its Add
      silences its channel for all who read it. Inputs and outputs go.
    - Pre-activation nets: a dead first slope of a block frees inputs of the
      conv behind it (of WRN's shortcut, too); the stream itself, with all
      that writes it, stays whole. Inner slopes free both sides.

    A lower bound: more can go where the dead channels happen to coincide,
    which counts cannot tell (WRN: stream channels that no later block of the
    stage reads; post-activation: what only dead channels read).
    `rrelu_tf.strip` sees it, and `rrelu_tf.profile` counts what is left.

    Args:
        arch: as for `seed_convention`.
        alive: as for `seed_convention`.
        num_classes: width of the last layer.

    Returns:
        {"memory": percent saved, "flops": percent saved}, floats.

    Raises:
        UserError: an unknown architecture, or counts that it cannot have.
    """
    return _saved(_as_it_is, arch, alive, num_classes)


def convention_of_model(arch, alive, weights, *, num_classes, channels):
    """`seed_convention` of a model, where the scripts count such a model.

    Args:
        arch: its architecture's name, any.
        alive: as for `seed_convention`; None if that is not known.
        weights: its conv and linear weights before all pruning; None if that
            is not known. They tell the authors' net from one of its name that
            is narrower.
        num_classes: width of the last layer.
        channels: of the images; the scripts count 3.

    Returns:
        {"memory": percent saved, "flops": percent saved}, floats; None where
        it is another net than the scripts count, or not known to be theirs.
    """
    if alive is None or arch not in NETS:
        return None
    net = NETS[arch]
    full = net.flat(net.widths())
    kernel, filters, _ = net.stem
    plain, _ = _as_it_is(net, full, full, num_classes)
    if weights != plain + (channels - 3) * kernel**2 * filters:
        return None
    try:
        return seed_convention(arch, alive, num_classes)
    except UserError:  # a layer that an earlier pruning took away whole
        return None


def _saved(count, arch, alive, num_classes):
    net = _net(arch)
    num_classes = _whole("num_classes", num_classes, 1)
    widths = net.widths()
    alive = _checked(arch, net, alive, widths, num_classes)
    full = net.flat(widths)
    before = count(net, full, full, num_classes)
    after = count(net, net.flat(alive), full, num_classes)
    saved = [100 * (1 - b / a) for a, b in zip(before, after, strict=True)]
    return dict(zip(("memory", "flops"), saved, strict=True))


def _as_the_scripts(net, counts, full, num_classes):
    """(weights, FLOPs) of the flat list `counts`, by the scripts' rules."""
    kernel, _, side = net.stem
    memory = 3 * kernel**2 * counts[0]
    flops = 2 * memory * side**2
    for i, kernel, _, side in net.convs():
        inputs = kernel**2 * counts[i - 1]
        writes_stream = i % len(net.kernels) == 0
        outputs = full[i] if net.mixed and writes_stream else counts[i]
        memory += inputs * counts[i]
        flops += 2 * inputs * outputs * side**2
    for reads, writes, side in net.counted:
        outputs = full[writes] if net.mixed else counts[writes]
        memory += counts[reads] * outputs
        flops += 2 * counts[reads] * outputs * side**2
    last = counts[-1] * num_classes
    return memory + last, flops + 2 * last


def _as_it_is(net, counts, full, num_classes):
    """(weights, FLOPs) that are left if only what may go is gone."""
    stream = full if net.preactivation else counts
    projected = counts if net.projection == "activated" else stream
    kernel, _, side = net.stem
    layers = [(3 * kernel**2 * stream[0], side)]
    for i, kernel, side, _ in net.convs():
        writes_stream = i % len(net.kernels) == 0
        outputs = stream[i] if writes_stream else counts[i]
        layers.append((kernel**2 * counts[i - 1] * outputs, side))
    for reads, writes, side in net.projections():
        layers.append((projected[reads] * stream[writes], side))
    layers.append((counts[-1] * num_classes, 1))
    memory = sum(weights for weights, _ in layers)
    return memory, sum(2 * weights * side**2 for weights, side in layers)


def _net(arch):
    if isinstance(arch, str) and arch in NETS:
        return NETS[arch]
    near = difflib.get_close_matches(str(arch), NETS, n=1)
    meant = f"; did you mean {near[0]}?" if near else "."
    raise UserError(
        f"arch must be one of {', '.join(NETS)}{meant} Received: arch={arch}"
    )


def _checked(arch, net, alive, widths, num_classes):
    """The counts as ints, without the stem and the classes."""
    try:
        alive = list(alive)
    except TypeError as error:
        raise UserError(
            "alive must be a list of whole numbers, one a slope vector. "
            f"Received: alive={alive}"
        ) from error
    pasted = net.sides[0] == 56 and len(alive) == len(widths) + 2
    if pasted:
        widths = [net.stem[1], *widths, num_classes]
    if len(alive) != len(widths):
        raise UserError(
            f"{arch} has {len(widths)} slope vectors, and alive must hold one "
            f"count for each. Received: len(alive)={len(alive)}"
        )
    counts = [
        _whole(f"alive[{i}]", count, 0, width)
        for i, (count, width) in enumerate(zip(alive, widths, strict=True))
    ]
    if not pasted:
        return counts
    for i, what in ((0, "the stem's filters"), (-1, "num_classes")):
        if counts[i] != widths[i]:
            raise UserError(
                f"Beside its slopes, a list of {arch} must hold {what}, "
                f"{widths[i]}. Received: alive[{i}]={counts[i]}"
            )
    return counts[1:-1]


def _whole(name, value, least, most=None):
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    inside = number is not None and number >= least
    if not inside or (most is not None and number > most):
        limits = f"at least {least}" if most is None else f"{least} to {most}"
        raise UserError(
            f"{name} must be a whole number, {limits}. Received: {name}={value}"
        )
    return number
