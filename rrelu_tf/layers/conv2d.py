"""A convolution whose training step keeps less in memory."""

import keras
import tensorflow as tf

from rrelu_tf.layers.notes import Scaled


@keras.saving.register_keras_serializable(package="rrelu_tf")
class Conv2D(keras.layers.Conv2D):
    """Keras's `Conv2D`; a training step of it keeps less in memory.

    Arguments, weights and shapes are those of the Keras layer, and so are
    outputs and gradients, up to rounding. In training:

    - The gradient of the kernel comes before that of the input, so that both
      of its factors can go. Where the order is free TensorFlow also takes the
      other one, and keeps them while it walks on backward.
    - Of what a rotated activation made, `slope * features`, the features are
      convolved, with `slope * kernel`: the same sums. In a `tf.function` the
      product is then never made if only such layers read it, and its slopes'
      gradient comes out of the kernel's.

    (`benchmarks/training_step.py`.) Grouped and dilated convolutions, and
    channels that come first, are Keras's in all.

    Args:
        fused: bool, False for Keras's operations everywhere. Saved only if
            False.
        **kwargs: those of the Keras layer.
    """

    def __init__(self, *args, fused=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.fused = fused

    def call(self, inputs, training=None):
        """Convolves `inputs`, of shape `(batch, height, width, channels)`."""
        own = (
            training
            and self.fused
            and self.groups == 1
            and set(self.dilation_rate) == {1}
            and self.data_format == "channels_last"
        )
        if not own:
            return super().call(inputs)
        kernel = tf.convert_to_tensor(self.kernel)
        note = Scaled.of(inputs)
        if note is not None:
            inputs, kernel = note.features, note.slope[:, None] * kernel
        outputs = _convolve(inputs, kernel, self.strides, self.padding.upper())
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return self.activation(outputs)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        plain = {} if self.fused else {"fused": False}
        return super().get_config() | plain


def _convolve(images, kernel, strides, padding):
    options = {"strides": [1, *strides, 1], "padding": padding}
    sizes = tf.shape(images), tf.shape(kernel)

    @tf.custom_gradient
    def convolved(images, kernel):

        def gradient(upstream):
            by_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=images,
                filter_sizes=sizes[1],
                out_backprop=upstream,
                **options,
            )
            with tf.control_dependencies([by_kernel]):
                by_images = tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=sizes[0],
                    filter=kernel,
                    out_backprop=upstream,
                    **options,
                )
            return by_images, by_kernel

        return tf.nn.conv2d(images, kernel, **options), gradient

    return convolved(images, kernel)
