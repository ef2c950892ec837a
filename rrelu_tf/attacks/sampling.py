"""Which test images are attacked."""

import dataclasses

import numpy as np


def batches(data, count, *, seed=0, preprocessing=None):
    """Finite batches of test images, in fixed order.

    Args:
        data: a `rrelu_tf.data.Data`.
        count: int, how many images, drawn without replacement: a folder's lie
            class by class. Where there are no more, all of them.
        seed: int that decides which.
        preprocessing: what makes the input of the images; None for the data's.

    Returns:
        A `tf.data.Dataset` of (float32 images, int32 labels).
    """
    order = np.random.default_rng(seed).permutation(data.test_size)
    # What is held out for validation is read by position; so are these.
    sampled = dataclasses.replace(
        data,
        preprocessing=preprocessing or data.preprocessing,
        source=dataclasses.replace(data.source, train=data.source.test),
        validation_positions=np.sort(order[:count]),
    )
    return sampled.validation
