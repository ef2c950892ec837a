"""Convolutions that take slopes into their kernels, and keep less in memory."""

import keras
import tensorflow as tf
from keras import ops

from rrelu_tf.layers.notes import Padded, Scaled


class TakesSlopes:
    """What a training step of `Conv2D` and `DepthwiseConv2D` does otherwise.

    Of what a rotated activation made, `slope * features`, the features are
    convolved, with `slope * kernel`: the same sums, at a slope of 0, too. In a
    `tf.function` the product is then never made if only such layers read it,
    and the slopes' gradient comes out of the kernel's. What a `ZeroPadding2D`
    made is likewise taken from what it read. A gradient asked for by the
    product, or the padded, lacks what such layers add: take that with
    `fused=False`.

    Arguments, weights and shapes are those of the Keras layer, and so are
    outputs and gradients of inputs and weights, up to rounding. Frozen kernels,
    which need no gradient, and channels that come first are Keras's in
    all; products of float16, whose range is small, are convolved as they are.

    Args:
        fused: bool, False for Keras's operations everywhere. Saved only if
            False.
        **kwargs: those of the Keras layer.
    """

    def __init__(self, *args, fused=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.fused = fused

    @property
    def takes_slopes(self):
        """Whether a training step does; for a built layer."""
        trainable = getattr(self.kernel, "trainable", True)  # LoRA: a tensor
        return self.fused and trainable and self.data_format == "channels_last"

    def call(self, inputs, training=None):
        """Convolves `inputs`, of shape `(batch, height, width, channels)`."""
        if not (training and self.takes_slopes):
            return super().call(inputs)
        kernel = tf.convert_to_tensor(self.kernel)
        paddings, padded = None, Padded.of(inputs)
        if padded is not None:
            inputs, paddings = padded.images, padded.paddings
        scaled = Scaled.of(inputs)
        if scaled is not None and kernel.dtype != tf.float16:
            inputs, kernel = scaled.features, scaled.slope[:, None] * kernel
        outputs = self._convolve(inputs, kernel, paddings)
        if self.use_bias:
            outputs = outputs + tf.convert_to_tensor(self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self):
        """The constructor's arguments, ready for JSON."""
        plain = {} if self.fused else {"fused": False}
        return super().get_config() | plain


@keras.saving.register_keras_serializable(package="rrelu_tf")
class Conv2D(TakesSlopes, keras.layers.Conv2D):
    """Keras's `Conv2D`, which in training takes slopes, and keeps less.

    The gradient of the kernel comes before that of the input, so that both of
    its factors can go. Where the order is free TensorFlow also takes the other
    one, and keeps them while it walks on backward
    (`benchmarks/training_step.py`).

    Arguments are those of `TakesSlopes`. Grouped and dilated convolutions are
    Keras's in all, and so are subclasses of another `convolution_op`.
    """

    @property
    def takes_slopes(self):
        """Whether a training step does; for a built layer."""
        own = type(self).convolution_op is keras.layers.Conv2D.convolution_op
        plain = self.groups == 1 and set(self.dilation_rate) == {1}
        return own and plain and super().takes_slopes

    def _convolve(self, images, kernel, paddings):
        options = {
            "strides": [1, *self.strides, 1],
            "padding": self.padding.upper(),
        }
        if paddings is not None and self.padding == "same":
            images, paddings = tf.pad(images, paddings), None

        @tf.custom_gradient
        def convolved(images, kernel):

            def gradient(upstream):
                read = images
                if paddings is not None:
                    # Once more, and only now: oneDNN's gradients do not pad.
                    with tf.control_dependencies([upstream]):
                        read = tf.pad(images, paddings)
                of_read = tf.shape(read)
                by_kernel = tf.raw_ops.Conv2DBackpropFilter(
                    input=read,
                    filter_sizes=tf.shape(kernel),
                    out_backprop=upstream,
                    **options,
                )
                with tf.control_dependencies([by_kernel]):
                    by_read = tf.raw_ops.Conv2DBackpropInput(
                        input_sizes=of_read,
                        filter=kernel,
                        out_backprop=upstream,
                        **options,
                    )
                if paddings is None:
                    return by_read, by_kernel
                first = [before for before, _ in paddings]
                return tf.slice(by_read, first, tf.shape(images)), by_kernel

            own = {} if paddings is None else {"padding": paddings}
            return tf.nn.conv2d(images, kernel, **options | own), gradient

        return convolved(images, kernel)


@keras.saving.register_keras_serializable(package="rrelu_tf")
class DepthwiseConv2D(TakesSlopes, keras.layers.DepthwiseConv2D):
    """Keras's `DepthwiseConv2D`, which in training takes slopes.

    Arguments are those of `TakesSlopes`.
    """

    def _convolve(self, images, kernel, paddings):
        if paddings is not None:
            images = tf.pad(images, paddings)
        return ops.depthwise_conv(
            images,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
