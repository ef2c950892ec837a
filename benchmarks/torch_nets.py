"""ResNet-20, -34 and -56, WRN-16-4 and VGG-13 in PyTorch, for comparison.

Plain and rotated (VGG-13 plain). Layers, shapes and order are those of
`rrelu_tf.models`, written as the authors' code has them: modules, and
`a * relu(x)` with `a` of `(1, C, 1, 1)`.
"""

import torch
from torch import nn
from torch.nn import functional


class RReLU(nn.Module):
    """`a * relu(x)`, one slope per channel."""

    def __init__(self, channels):
        super().__init__()
        self.a = nn.Parameter(torch.randn(1, channels, 1, 1))

    def forward(self, x):
        """The rotated `(batch, channels, height, width)`."""
        return self.a * functional.relu(x)


def activation(channels, rotated):
    """The module of one activation."""
    return RReLU(channels) if rotated else nn.ReLU()


def conv(given, made, strides, size=3):
    """A convolution without bias, padded alike on all sides."""
    return nn.Conv2d(given, made, size, strides, size // 2, bias=False)


class Basic(nn.Module):
    """A ResNet's block, whose shortcut has no weights (option A)."""

    def __init__(self, given, made, strides, rotated):
        super().__init__()
        self.conv1 = conv(given, made, strides)
        self.bn1 = nn.BatchNorm2d(made)
        self.rrelu1 = activation(made, rotated)
        self.conv2 = conv(made, made, 1)
        self.bn2 = nn.BatchNorm2d(made)
        self.rrelu2 = activation(made, rotated)
        self.strides, self.extra = strides, (made - given) // 2

    def forward(self, x):
        """The block's output."""
        y = self.rrelu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.rrelu2((self.narrow(x) if self.strides > 1 else x) + y)

    def narrow(self, x):
        """Every other pixel, and channels of zeros."""
        frame = (0, 0, 0, 0, self.extra, self.extra)
        return functional.pad(x[:, :, :: self.strides, :: self.strides], frame)


class Projected(Basic):
    """The same with a convolution as shortcut (option B)."""

    def __init__(self, given, made, strides, rotated):
        super().__init__(given, made, strides, rotated)
        if strides > 1:
            self.shortcut = conv(given, made, strides, 1)
            self.bn = nn.BatchNorm2d(made)

    def narrow(self, x):
        """The convolution, and its norm."""
        return self.bn(self.shortcut(x))


class Wide(nn.Module):
    """WRN's block: norms and activations first."""

    def __init__(self, given, made, strides, rotated):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(given)
        self.rrelu1 = activation(given, rotated)
        self.conv1 = conv(given, made, strides)
        self.bn2 = nn.BatchNorm2d(made)
        self.rrelu2 = activation(made, rotated)
        self.conv2 = conv(made, made, 1)
        self.shortcut = None
        if given != made or strides > 1:
            self.shortcut = conv(given, made, strides, 1)

    def forward(self, x):
        """The block's output."""
        active = self.rrelu1(self.bn1(x))
        y = self.conv2(self.rrelu2(self.bn2(self.conv1(active))))
        return y + (x if self.shortcut is None else self.shortcut(active))


# Blocks of each stage, width of the first, block; each stage doubles the width.
_NETS = {
    "resnet20": ((3, 3, 3), 16, Basic),
    "resnet56": ((9, 9, 9), 16, Basic),
    "resnet34": ((3, 4, 6, 3), 64, Projected),
    "wrn_16_4": ((2, 2, 2), 64, Wide),
}


def create(name, rotated, num_classes=10):
    """The module of a net of `_NETS`, or of "vgg13"."""
    if name == "vgg13":
        return _vgg13(num_classes)
    counts, width, block = _NETS[name]
    wide = block is Wide
    channels = 16 if wide else width
    layers = [conv(3, channels, 1)]
    if not wide:
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    for stage, count in enumerate(counts):
        for number in range(count):
            strides = 2 if stage and number == 0 else 1
            made = width * 2**stage
            layers.append(block(channels, made, strides, rotated))
            channels = made
    if wide:
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *head, nn.Linear(channels, num_classes))


def _vgg13(num_classes):
    """For 32 x 32; norms behind the activations, as the OrthoReg authors."""
    layers, given = [], 3
    for made in (64, 128, 256, 512, 512):
        for _ in range(2):
            layers += [nn.Conv2d(given, made, 3, padding=1), nn.ReLU()]
            layers.append(nn.BatchNorm2d(made))
            given = made
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(given, num_classes))
