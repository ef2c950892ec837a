"""Directions of the logits: how far a step along one changes the softmax.

A function here takes logits (batch, classes) and returns

*   a function of an int tensor k: the k-th direction, (batch, classes),
*   how many directions there are, an int tensor.

Gradients along all of them, squared and added up, are the score.
"""

import tensorflow as tf

# The share of a batch's Fisher information that may be left out.
_NEGLIGIBLE = {"float32": 1e-6, "float64": 1e-12}


def of_examples(logits):
    """For each example, sum_j p_j (dlog p_j)^2 of its own p.

    sum_j p_j (e_j - p)(e_j - p)^T = diag(p) - p p^T has as many eigenvectors
    as there are classes, but few with an eigenvalue that matters where few
    classes are likely. The sum over the classes is the sum over these
    eigenvectors, each times the square root of its eigenvalue.
    """
    p = tf.nn.softmax(logits)
    matrix = tf.linalg.diag(p) - p[:, :, None] * p[:, None, :]
    # eigh stops the program where there are others; rdt looks at the logits.
    matrix = tf.where(tf.math.is_finite(matrix), matrix, 0)
    values, vectors = tf.linalg.eigh(matrix)
    values, vectors = tf.maximum(values[:, ::-1], 0), vectors[:, :, ::-1]
    vectors *= tf.sqrt(values)[:, None, :]
    rest = tf.cumsum(tf.reduce_sum(values, axis=0), reverse=True)
    matters = rest > _NEGLIGIBLE[logits.dtype.name] * rest[0]
    count = tf.math.count_nonzero(matters, dtype=tf.int32)
    return lambda k: vectors[:, :, k], count


def of_means(logits):
    """sum_j q_j (dl_j)^2 times the batch's size, q and l means over the batch.

    q_j is the mean of p_j, and l_j that of log p_j, whose derivative by an
    example's logits is (e_j - p) / batch.
    """
    p = tf.nn.softmax(logits)
    mean, classes = tf.reduce_mean(p, axis=0), tf.shape(p)[1]
    size = tf.cast(tf.shape(p)[0], p.dtype)

    def direction(k):
        chosen = tf.one_hot(k, classes, dtype=p.dtype)
        return (chosen - p) * tf.sqrt(mean[k] / size)

    return direction, classes


def accumulate(directions, function, zeros, together=None):
    """The sum over all directions of what a function makes of each.

    One backward pass after the other: all of them as one vectorised Jacobian
    take more memory and no less time.

    Args:
        directions: what a function of this file returns.
        function: of a direction, or of up to `together` that are stacked;
            returns a list of tensors.
        zeros: list of tensors like these, to begin with.
        together: int, how many directions the function takes; None: one that
            is not stacked.

    Returns:
        List of tensors.
    """
    direction, count = directions

    def steps(k):
        if together is None:
            return direction(k)
        stop = tf.minimum(k + together, count)
        dtype = direction(0).dtype
        return tf.map_fn(
            direction, tf.range(k, stop), fn_output_signature=dtype
        )

    def add(k, sums):
        terms = function(steps(k))
        return k + (together or 1), [
            total + tf.cast(term, total.dtype)
            for total, term in zip(sums, terms, strict=True)
        ]

    _, sums = tf.while_loop(lambda k, _: k < count, add, (0, zeros))
    return sums
