"""The training images that channels are scored by, for each protocol."""

_BATCH = 128  # the OrthoReg authors'


def of(data, method, samples, protocol):
    """Training batches to hand to `rrelu_tf.score`, without augmentation.

    With protocol "seed" as many as the authors' loops see: whole batches of
    128 until more than `samples` were, for `grasp` as many as it takes to find
    its examples of every class.

    Args:
        data: a `rrelu_tf.data.Data`.
        method: as of `rrelu_tf.score`.
        samples: the same.
        protocol: "seed", or another name for the right one.

    Returns:
        A `tf.data.Dataset` of (images, labels) batches, in fixed order.
    """
    if protocol != "seed":
        return data.unaugmented(samples)
    most = (samples // _BATCH + 1) * _BATCH
    if method == "grasp":
        most = data.train_size
    return data.unaugmented(most, _BATCH)
