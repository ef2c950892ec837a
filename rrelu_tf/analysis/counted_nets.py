"""The nets of the RReLU authors' published counts, as counting needs them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Net:
    """One architecture, as far as counting needs it.

    The flat list of a net is what the scripts work on: the stem's filters,
    one entry for each slope vector in forward order (of a pre-activation net
    the first slope vector *is* the stem's entry), and of a pre-activation net
    the width of the stream at its end. Conv i, from 1, reads entry i - 1 and
    writes entry i.

    Attributes:
        blocks: number of blocks of each stage.
        inner: width of a block's inner convs, for each stage.
        outer: width of the stream, for each stage.
        kernels: kernel sizes of a block's convs.
        sides: of the feature maps behind each stage, in pixels.
        stem: (kernel size, filters, side of its output).
        preactivation: whether slopes lie before the convs.
        projection: what a stage's conv shortcut reads, "stream" or
            "activated"; None where the shortcut has no weights.
        counted: shortcuts as the scripts have them: (entry that they read,
            entry that they write, side).
        mixed: whether what writes the stream counts with its full width,
            shortcuts for memory and FLOPs, a block's last conv for FLOPs.
    """

    blocks: tuple
    inner: tuple
    outer: tuple
    kernels: tuple
    sides: tuple
    stem: tuple
    preactivation: bool
    projection: str | None = None
    counted: tuple = ()
    mixed: bool = False

    def widths(self):
        """Width of each slope vector, in forward order."""
        widths, stream = [], self.stem[1]
        for _, inner, outer in self._plan():
            inside = [inner] * (len(self.kernels) - 1)
            if self.preactivation:
                widths += [stream, *inside]
            else:
                widths += [*inside, outer]
            stream = outer
        return widths

    def flat(self, alive):
        """The flat list of counts, without the classes."""
        if self.preactivation:
            return [*alive, self.outer[-1]]
        return [self.stem[1], *alive]

    def convs(self):
        """(i, kernel size, side behind it, side of a v1 layout) per conv.

        From the second stage on a bottleneck has its stride in the 3x3 conv;
        in the v1 layout it is in the block's first conv, as in basic blocks.
        """
        i = 0
        for block, (stage, *_) in enumerate(self._plan()):
            behind = self.sides[stage]
            strided = stage > 0 and block in self._starts()
            for part, kernel in enumerate(self.kernels):
                i += 1
                early = strided and part < self.kernels.index(3)
                side = self.sides[stage - 1] if early else behind
                yield i, kernel, side, behind

    def projections(self):
        """(entry read, entry written, side) of the shortcuts that exist."""
        if self.projection is None:
            return
        for start, side in zip(self._starts(), self.sides, strict=True):
            reads = start * len(self.kernels)
            yield reads, reads + len(self.kernels), side

    def _plan(self):
        stages = zip(self.blocks, self.inner, self.outer, strict=True)
        for stage, (count, inner, outer) in enumerate(stages):
            yield from [(stage, inner, outer)] * count

    def _starts(self):
        return [sum(self.blocks[:stage]) for stage in range(len(self.blocks))]


_WIDTHS, _SIDES, _STEM = (16, 32, 64), (32, 16, 8), (3, 16, 32)


def _cifar(count, *, preactivation=False):
    """Basic blocks, `count` a stage, with option A shortcuts."""
    return Net(
        *((count,) * 3, _WIDTHS, _WIDTHS, (3, 3), _SIDES, _STEM),
        preactivation=preactivation,
    )


def _wide(count, counted):
    """WRN of width 4, `count` blocks a stage."""
    widths = tuple(4 * width for width in _WIDTHS)
    return Net(
        *((count,) * 3, widths, widths, (3, 3), _SIDES, _STEM),
        preactivation=True,
        projection="activated",
        counted=counted,
        mixed=True,
    )


def _imagenet(width):
    """The 50 layers of bottlenecks, inner convs `width` times as wide."""
    return Net(
        blocks=(3, 4, 6, 3),
        inner=tuple(width * inner for inner in (64, 128, 256, 512)),
        outer=(256, 512, 1024, 2048),
        kernels=(1, 3, 1),
        sides=(56, 28, 14, 7),
        stem=(7, 64, 112),
        preactivation=False,
        projection="stream",
        counted=((1, 4, 56), (10, 13, 28), (22, 25, 14), (40, 43, 7)),
    )


NETS = {
    "resnet20": _cifar(3),
    "resnet56": _cifar(9),
    "resnet110_preact": _cifar(18, preactivation=True),
    "resnet164_preact": Net(
        *((18,) * 3, _WIDTHS, (64, 128, 256), (1, 3, 1), _SIDES, _STEM),
        preactivation=True,
        projection="stream",
    ),
    "wrn_40_4": _wide(6, ((0, 2, 32), (13, 14, 16), (25, 26, 8))),
    "wrn_16_4": _wide(2, ((0, 2, 32), (5, 6, 32), (9, 10, 32))),
    "resnet50": _imagenet(1),
    "wide_resnet50_2": _imagenet(2),
}
