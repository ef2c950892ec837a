"""What bounds a training step, on paper: operations, bytes, kernel launches."""

import dataclasses
import math

import keras

from rrelu_tf.analysis import macs
from rrelu_tf.analysis.calls import calls
from rrelu_tf.layers import Rotated, ZeroPadding2D
from rrelu_tf.layers.convolutions import TakesSlopes

# Passes over a tensor of the output's size, (reads, writes), forward and
# backward, each operation by itself. A normalisation reads its input for the
# moments and again to normalise; backward, input and gradient twice. A rotated
# activation is a rectifier and a product, whose slopes have a gradient, too.
_PASSES = {
    keras.layers.BatchNormalization: ((2, 1), (4, 1)),
    keras.layers.LayerNormalization: ((2, 1), (4, 1)),
    Rotated: ((2, 2), (5, 2)),
}
# Slopes that convolutions take into their kernels leave the rectifier.
_TAKEN = ((1, 1), (2, 1))
# Layers that a compiler merges with the one that made their input.
_FUSED = (
    *(keras.layers.Activation, keras.layers.ReLU, Rotated),
    *(keras.layers.Add, keras.layers.Multiply, keras.layers.Rescaling),
)
_FREE = (keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Reshape)
_STATE = 4  # bytes of a weight, and of what the optimizer keeps
_UPDATE = 5  # weight, gradient and momentum read, weight and momentum written


@dataclasses.dataclass(frozen=True)
class Device:
    """What a device can do at best; `efficiency` is what is reached of it.

    Attributes:
        flops: operations a second of matrix products.
        bandwidth: bytes a second of its memory.
        launch: seconds that a kernel's start costs.
        link: bytes a second to the other devices, each way.
        efficiency: share of `flops` and of `bandwidth` that kernels reach.
    """

    flops: float
    bandwidth: float
    launch: float
    link: float = math.inf
    efficiency: tuple = (0.5, 0.8)


@dataclasses.dataclass(frozen=True)
class StepCost:
    """A training step of one device.

    Attributes:
        flops: operations of matrix products, forward and backward.
        bytes: memory traffic, forward, backward and update.
        launches: kernels that are started.
        gradient_bytes: of all gradients, that devices exchange.
    """

    flops: float
    bytes: float
    launches: int
    gradient_bytes: int

    def seconds(self, device, devices=1):
        """dict: what the step takes by each bound, and in all.

        Products and memory traffic overlap at best, so that the larger of
        the two counts; launches overlap with what was launched before. What
        exchanging gradients adds is that of `exchanged`.
        """
        products, traffic = device.efficiency
        bounds = {
            "products": self.flops / (device.flops * products),
            "memory": self.bytes / (device.bandwidth * traffic),
            "launches": self.launches * device.launch,
        }
        alone = max(bounds.values())
        exchange, step = exchanged(
            alone, self.gradient_bytes, device.link, devices
        )
        bound = max(bounds, key=bounds.get)
        if step > alone:
            bound = "exchange"
        return {**bounds, "exchange": exchange, "step": step, "bound": bound}


def exchanged(step, gradient_bytes, link, devices):
    """A step of several devices that exchange gradients.

    A ring exchanges 2 (n - 1) / n of the gradients' bytes, behind the backward
    pass, two thirds of the step; what is left over is waited for.

    Args:
        step: float, seconds of one device's step alone.
        gradient_bytes: of all gradients.
        link: float, bytes a second between two devices, each way.
        devices: int.

    Returns:
        Tuple of float: seconds of the exchange, and of the step with it.
    """
    exchange = 2 * (devices - 1) / devices * gradient_bytes / link
    return exchange, step + max(0.0, exchange - 2 / 3 * step)


def step_cost(model, batch_size, *, fused=False, element_bytes=4):
    """Counts a training step with SGD and momentum.

    Products cost twice their forward operations backward. Each layer reads its
    inputs and weights and writes its outputs, forward, and backward reads
    gradients, inputs and weights and writes two gradients. Input that stays
    in a cache is not foreseen, nor layouts, nor channels that are too few for
    a tensor core: it is a bound, and `benchmarks/step_cost.py` compares.

    Args:
        model: a functional or built Sequential `keras.Model`.
        batch_size: examples of one device.
        fused: whether activations, sums and products are done where their
            input is made, as XLA does: without a pass and a launch of theirs.
        element_bytes: 4 for float32, 2 for bfloat16.

    Returns:
        A `StepCost`.
    """
    flops, elements, launches = 0, 0, 0
    for call in calls(model):
        if isinstance(call.layer, _FREE) or not call.inputs:
            continue
        made = batch_size * _size(call.outputs[0])
        read = batch_size * sum(map(_size, call.inputs))
        work = macs.macs(call.layer, call.inputs, call.outputs[0])
        if work:
            weights = sum(math.prod(v.shape) for v in call.layer.weights)
            flops += 3 * 2 * work * batch_size
            elements += 3 * (read + made + weights)
            launches += 3
        elif fused and isinstance(call.layer, _FUSED):
            # Other inputs than the one that is being made are read.
            elements += read - made if read > made else 0
        else:
            elements += _passes(call, read, made)
            launches += 2
    trained = sum(math.prod(v.shape) for v in model.trainable_variables)
    return StepCost(
        flops=flops,
        bytes=elements * element_bytes + trained * _STATE * _UPDATE,
        launches=launches + len(model.trainable_variables),
        gradient_bytes=trained * _STATE,
    )


def _passes(call, read, made):
    """Elements read and written, forward and backward."""
    if isinstance(call.layer, Rotated) and call.layer.fused and _is_taken(call):
        return made * sum(map(sum, _TAKEN))
    for kind, passes in _PASSES.items():
        if isinstance(call.layer, kind):
            return made * sum(map(sum, passes))
    # Inputs to the output; then gradient and output to the inputs' gradients.
    return read + made + 2 * made + read


def _is_taken(call):
    """Whether only convolutions that take slopes read this, or its padding."""
    return bool(call.readers) and all(
        reader is not None
        and (
            _is_taken(reader)
            if isinstance(reader.layer, ZeroPadding2D)
            else isinstance(reader.layer, TakesSlopes)
            and reader.layer.takes_slopes
        )
        for reader in call.readers
    )


def _size(shape):
    return math.prod(shape[1:])
