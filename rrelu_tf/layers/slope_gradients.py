"""Gradients of slopes out of batch normalisation's fused kernels.

A product with slopes needs two gradients, `slope * g` and the sum of
`features * g` over all but the channels. As separate operations these are five
passes over memory; `FusedBatchNormGradV3` does both in one kernel. And behind a
batch normalisation its own gradient, which is due anyway, brings the slope's.
"""

import tensorflow as tf


def can_scale(features):
    """Whether `scale` has a kernel for these: float32 and less, rank 4."""
    return len(features.shape) == 4 and features.dtype in (
        *(tf.float32, tf.bfloat16, tf.float16),
    )


def scale(features, slope):
    """`slope * features`, of shapes `(channels,)` and a rank of 4.

    On GPUs by plain operations: there this kernel, with known moments, is not
    deterministic, and TensorFlow refuses it where determinism is asked for.
    """
    if tf.config.list_physical_devices("GPU"):
        return slope * features
    return _scale(features, slope)


@tf.custom_gradient
def _scale(features, slope):

    def gradient(upstream):
        # Of x_hat = (x - 0) / sqrt(1 + 0), with known moments.
        factor = tf.cast(slope, tf.float32)
        by_features, by_slope, *_ = tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=upstream,
            x=features,
            scale=factor,
            reserve_space_1=tf.zeros_like(factor),
            reserve_space_2=tf.ones_like(factor),
            reserve_space_3=tf.zeros([0]),
            epsilon=0.0,
            is_training=False,
        )
        return by_features, tf.cast(by_slope, slope.dtype)

    return slope * features, gradient


def scale_normalized(features, slope, source):
    """`slope * features`, features being `relu` of what was normalised.

    With m the mask of what is above 0, `features = m (gamma x_hat + beta)`.
    The gradient of a normalisation of scale `slope * gamma`, by `g m`, is that
    of x; it brings s = sum(g m x_hat) and o = sum(g m), so that gamma's is
    `slope * s`, beta's `slope * o`, and the slope's `gamma * s + beta * o`.
    `features` has no gradient of its own, nor has what it was made of, but x.

    Args:
        features: `(batch, height, width, channels)`.
        slope: `(channels,)`.
        source: the `Normalized` of what the features were made of.
    """

    @tf.custom_gradient
    def scaled(features, slope, x, gamma, beta):
        def gradient(upstream):
            factor = tf.cast(slope, gamma.dtype)
            by_x, s, o, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.raw_ops.ReluGrad(
                    gradients=upstream, features=features
                ),
                x=x,
                scale=factor * gamma,
                reserve_space_1=source.reserves[0],
                reserve_space_2=source.reserves[1],
                reserve_space_3=source.reserves[2],
                epsilon=source.epsilon,
            )
            by_slope = tf.cast(gamma * s + beta * o, slope.dtype)
            # All of the features' gradient goes to what they were made of.
            return None, by_slope, by_x, factor * s, factor * o

        return slope * features, gradient

    return scaled(features, slope, source.x, source.gamma, source.beta)
