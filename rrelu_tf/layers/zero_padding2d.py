"""Padding that a convolution may do itself."""

import keras

from rrelu_tf.layers.notes import Padded


@keras.saving.register_keras_serializable(package="rrelu_tf")
class ZeroPadding2D(keras.layers.ZeroPadding2D):
    """Keras's `ZeroPadding2D`, in front of a convolution of this package.

    In training a `Conv2D` pads by itself what this layer reads, so that the
    padded images are neither made nor kept, and takes the slopes of a rotated
    activation there, as it does without padding. Arguments and shapes are
    those of the Keras layer.
    """

    def call(self, inputs):
        """Pads `inputs`, of shape `(batch, height, width, channels)`."""
        outputs = super().call(inputs)
        if self.data_format == "channels_last":
            paddings = ((0, 0), *self.padding, (0, 0))
            Padded(inputs, paddings).attach(outputs)
        return outputs
