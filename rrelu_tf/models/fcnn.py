"""The RReLU authors' MNIST network: one hidden layer of 500 units."""

import keras

from rrelu_tf.models.blocks import Blocks, torch_uniform
from rrelu_tf.models.registry import register


@register(r"fcnn", ["fcnn"])
def fcnn(*, num_classes, input_shape, activation, name, **options):
    """Flatten, 500 hidden units, logits: 784-500-10 on MNIST.

    Args:
        num_classes: width of the logits.
        input_shape: `(height, width, channels)`.
        activation: plain or rotated, see `models.create`.
        name: the model's name.
        **options: fields of `Blocks`.

    Returns:
        A `keras.Model` from images to logits.
    """
    blocks = Blocks(activation=activation, **options)
    images = blocks.images(input_shape)
    x = keras.layers.Flatten(name="flatten")(images)
    x = _linear(x, 500, "fc1")
    x = blocks.activate(x, "rrelu1")
    return keras.Model(images, _linear(x, num_classes, "fc2"), name=name)


def _linear(x, units, name):
    return keras.layers.Dense(
        units,
        kernel_initializer=torch_uniform(x.shape[-1]),
        bias_initializer=torch_uniform(x.shape[-1]),
        name=name,
    )(x)
