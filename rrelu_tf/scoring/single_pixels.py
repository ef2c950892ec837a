"""Convolutions of single pixels that skip some: of those that they read.

oneDNN's gradient for the kernel of such a convolution writes past its memory
where the images are fewer than the threads and the input's channels fewer than
a vector's numbers (its issue 6035): the process ends, or its numbers are wrong.
With the other pixels left out it is an ordinary one, and the same function.
"""

import keras

from rrelu_tf.layers import AUGMENTED, Conv2D

_STOCK = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_CONVS = (*_STOCK, *map(AUGMENTED.get, _STOCK), Conv2D)


def skips(layer):
    """Whether a layer's kernel is of one pixel and its strides are not."""
    return (
        type(layer) in _CONVS
        and set(layer.kernel_size) == {1}
        and set(layer.strides) != {1}
    )


def read(layer, images):
    """The pixels of a batch that a layer which `skips` reads.

    "same" and "valid" are alike: a kernel of one pixel needs no padding.
    """
    steps = [slice(None, None, stride) for stride in layer.strides]
    if layer.data_format == "channels_first":
        steps = [slice(None), *steps]
    return images[(slice(None), *steps)]
