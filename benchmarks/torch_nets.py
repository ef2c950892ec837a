"""ResNet-20, ResNet-56 and WRN-16-4 in PyTorch, for comparison.

Plain and rotated. Layers, shapes and order are those of `rrelu_tf.models`,
written as the RReLU authors' code has them: modules, and `a * relu(x)` with `a`
of `(1, C, 1, 1)`.
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
    """ResNet-20's block, whose shortcut has no weights (option A)."""

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
        if self.strides > 1:
            frame = (0, 0, 0, 0, self.extra, self.extra)
            step = self.strides
            x = functional.pad(x[:, :, ::step, ::step], frame)
        return self.rrelu2(x + y)


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


# Blocks a stage, times the base width, block.
_NETS = {
    "resnet20": (3, 1, Basic),
    "resnet56": (9, 1, Basic),
    "wrn_16_4": (2, 4, Wide),
}


def create(name, rotated, num_classes=10):
    """The module of "resnet20", "resnet56" or "wrn_16_4"."""
    wide = name == "wrn_16_4"
    count, width, block = _NETS[name]
    layers, channels = [conv(3, 16, 1)], 16
    if not wide:
        layers += [nn.BatchNorm2d(16), nn.ReLU()]
    for stage in (1, 2, 4):
        for number in range(count):
            strides = 2 if stage > 1 and number == 0 else 1
            made = 16 * stage * width
            layers.append(block(channels, made, strides, rotated))
            channels = made
    if wide:
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *head, nn.Linear(channels, num_classes))
