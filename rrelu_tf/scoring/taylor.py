"""How the loss changes with the size of each channel, in one pass for all.

The scale s of a channel multiplies all that its filter and bias make, or its
gamma and beta. At s = 1 the derivative of the loss by it is the sum over these
weights of w * dL/dw; it also is the sum over positions of z * dL/dz, where z is
what they make. So one backward pass that stops at the layers' outputs tells
the sum for every example by itself, without a gradient for any weight.
"""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf.scoring import filters
from rrelu_tf.scoring.compiled import compiled


class Moments:
    """Sums of some channels' quantities over examples.

    Attributes:
        examples: int, how many there were.
        total: float64 (channels,), the sum.
        squares: float64 (channels,), the sum of the squares.
        batch_squares: float64 (channels,), the sum over batches of their size
            times the square of their mean.
    """

    def __init__(self, channels):
        """No examples yet."""
        self.examples = 0
        self.total = np.zeros(channels)
        self.squares = np.zeros(channels)
        self.batch_squares = np.zeros(channels)

    def add(self, values):
        """Adds a batch, a float array (examples, channels)."""
        values = np.asarray(values, "float64")
        total = values.sum(axis=0)
        self.examples += len(values)
        self.total = self.total + total
        self.squares = self.squares + (values**2).sum(axis=0)
        self.batch_squares = self.batch_squares + total**2 / len(values)

    @property
    def sums(self):
        """The sums, in a list."""
        examples = np.array(self.examples, "float64")
        return [examples, self.total, self.squares, self.batch_squares]

    @sums.setter
    def sums(self, sums):
        examples, self.total, self.squares, self.batch_squares = sums
        self.examples = int(examples)


@dataclasses.dataclass(frozen=True)
class Taylor:
    """First-order terms of the loss, the cross-entropy of each example.

    Attributes:
        kernels: dict: key -> `Moments` of the sums of w * dL/dw over a filter
            and its bias.
        gammas: dict: key -> `Moments` of gamma * dL/dgamma.
        norms: dict: key -> `Moments` of gamma * dL/dgamma + beta * dL/dbeta.
    """

    kernels: dict
    gammas: dict
    norms: dict


def measure(forward, kernels, norms, examples, workers):
    """Runs the pass.

    Args:
        forward: a `Forward` that sees the layers.
        kernels: dict: key -> convolution or dense layer.
        norms: dict: key -> batch normalisation.
        examples: iterable of (images, labels) batches.
        workers: the `Workers` that share them.

    Returns:
        A `Taylor`.
    """
    scales = {key: layer.gamma.shape[0] for key, layer in norms.items()}
    found = Taylor(
        kernels={k: Moments(filters.channels(x)) for k, x in kernels.items()},
        gammas={key: Moments(channels) for key, channels in scales.items()},
        norms={key: Moments(channels) for key, channels in scales.items()},
    )
    betas = {
        key: keras.ops.convert_to_numpy(layer.beta)
        for key, layer in norms.items()
        if layer.center
    }
    derivatives = by_channel(forward, {**kernels, **norms}, also_sums=betas)
    for images, labels in workers.own(examples):
        by_scale, by_offset = derivatives(images, labels)
        for key in kernels:
            found.kernels[key].add(by_scale[key])
        for key in norms:
            both = np.asarray(by_scale[key], "float64")
            found.norms[key].add(both)
            if key in betas:
                both = both - betas[key] * np.asarray(by_offset[key])
            found.gammas[key].add(both)
    moments = [
        each
        for kind in (found.kernels, found.gammas, found.norms)
        for each in kind.values()
    ]
    sums = workers.total([part for each in moments for part in each.sums])
    for place, each in enumerate(moments):
        each.sums = sums[4 * place : 4 * place + 4]
    return found


def by_channel(forward, keys, also_sums=()):
    """The derivatives of each example's loss by channels' scales.

    Args:
        forward: a `Forward`.
        keys: what it is to look at.
        also_sums: keys whose channels' offsets are asked for, too.

    Returns:
        Function of (images, labels) that returns two dicts, key -> float
        (examples, channels): the derivatives by scales and by offsets.
    """

    @compiled
    def derivatives(images, labels):
        calls = []
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def see(key, seen):
                if key in keys:
                    tape.watch(seen.outputs)
                    calls.append((key, seen))

            logits = forward(images, see)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, logits
            )
        gradients = tape.gradient(
            loss,
            [seen.outputs for _, seen in calls],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        by_scale, by_offset = {}, {}
        for (key, seen), gradient in zip(calls, gradients, strict=True):
            _add(by_scale, key, per_channel(seen.axis, seen.outputs, gradient))
            if key in also_sums:
                _add(by_offset, key, per_channel(seen.axis, gradient))
        return by_scale, by_offset

    return derivatives


def per_channel(axis, *factors):
    """The sum over all positions of a product, in float32 at least.

    Args:
        axis: int, that of the channels; the batch's is 0.
        *factors: tensors of one shape.

    Returns:
        Tensor (batch, channels).
    """
    wide = factors[0].dtype if factors[0].dtype == tf.float64 else tf.float32
    product = functools.reduce(
        tf.multiply, [tf.cast(factor, wide) for factor in factors]
    )
    others = [i for i in range(1, len(product.shape)) if i != axis]
    return tf.reduce_sum(product, others) if others else product


def _add(sums, key, term):
    sums[key] = sums[key] + term if key in sums else term
