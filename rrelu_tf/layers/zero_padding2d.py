"""Padding between a rotated activation and a convolution."""

import keras

from rrelu_tf.layers.scaled import Scaled


@keras.saving.register_keras_serializable(package="rrelu_tf")
class ZeroPadding2D(keras.layers.ZeroPadding2D):
    """Keras's `ZeroPadding2D` which slopes pass.

    Padding `slope * features` is padding the features: a `Conv2D` that reads
    the padded takes the slopes into its kernel, as it does without.
    Arguments and shapes are those of the Keras layer.
    """

    def call(self, inputs):
        """Pads `inputs`, of shape `(batch, height, width, channels)`."""
        outputs = super().call(inputs)
        note = Scaled.of(inputs)
        if note is not None and self.data_format == "channels_last":
            features = super().call(note.features)
            Scaled(features, note.slope).attach(outputs)
        return outputs
