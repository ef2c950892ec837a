"""Random numbers that are pure functions of (seed, epoch).

No generator is kept anywhere: going on from epoch k draws what an
uninterrupted run draws at epoch k, and two processes draw the same bits.
"""

import tensorflow as tf

# Counter-based: the same bits on every CPU. The default may depend on device.
_ALGORITHM = "philox"


def epoch_seeds(seed, epoch):
    """Two independent seeds, int32 [2] each: for the order, for the draws."""
    pair = tf.stack([tf.cast(seed, tf.int32), tf.cast(epoch, tf.int32)])
    seeds = tf.random.split(pair, num=2, alg=_ALGORITHM)
    return seeds[0], seeds[1]


def fold(seed, number):
    """A new seed, int32 [2], from a seed and an integer tensor."""
    number = tf.cast(number, tf.int32)
    return tf.random.fold_in(seed, number, alg=_ALGORITHM)


def permutation(size, seed):
    """`range(size)`, int64, in random order."""
    return tf.random.experimental.stateless_shuffle(
        tf.range(tf.cast(size, tf.int64)), seed, alg=_ALGORITHM
    )


def draws(shape, seed):
    """Float32 numbers, uniform on [0, 1)."""
    return tf.random.stateless_uniform(shape, seed, alg=_ALGORITHM)
