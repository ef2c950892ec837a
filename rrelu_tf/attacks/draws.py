"""Random numbers of an attack: pure functions of its seed.

Counter-based, as in `rrelu_tf.data.randomness`: no generator is kept, and
every CPU and GPU draws the same bits.
"""

import tensorflow as tf

from rrelu_tf.data import randomness

_ALGORITHM = "philox"


def pair(seed):
    """An int seed as int32 [2]; such a tensor stays as it is."""
    if isinstance(seed, int):
        return tf.constant([seed, 0], tf.int32)
    return tf.ensure_shape(tf.cast(seed, tf.int32), [2])


def fold(seed, number):
    """A new seed from a seed, int or int32 [2], and an integer tensor."""
    return randomness.fold(pair(seed), number)


def uniform(shape, seed, low, high, dtype=tf.float32):
    """Numbers, or for an integer `dtype` integers, uniform on [low, high)."""
    return tf.random.stateless_uniform(
        shape, seed, low, high, dtype, alg=_ALGORITHM
    )


def normal(shape, seed, dtype=tf.float32):
    """Numbers of the standard normal distribution."""
    return tf.random.stateless_normal(shape, seed, dtype=dtype, alg=_ALGORITHM)


def signs(shape, seed, dtype=tf.float32):
    """-1 and 1, each with probability a half."""
    heads = uniform(shape, seed, 0, 2, tf.int32)
    return tf.cast(2 * heads - 1, dtype)
